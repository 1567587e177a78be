"""What the commands of `andon` do that speak to a running Andon."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any

from schemas.answers import Answer, Ask
from schemas.retrieval import Search
from services.client import Client, connected
from services.running import settings
from services.runtime import log as logs
from services.runtime.config import Config
from services.runtime.errors import Rejected
from services.status_words import by_asset, said
from services.terminal import print_json, tell

OK, FAILED = 0, 1
_NEEDED = {"ingest": "pdfplumber"}
"""What a node that only answers lacks, by the service that cannot run without it."""
LONGEST_QUESTION = 4000
"""Characters, as `schemas.answers.Ask` has it."""


def installed(service: str) -> bool:
    """Return whether this machine has what a service needs."""
    return find_spec(_NEEDED.get(service, "services")) is not None


def load(options: argparse.Namespace) -> Config:
    """Return the configuration a command names or finds."""
    return settings(options.config)


def talk(options: argparse.Namespace, work: Callable[[Any, Config], Awaitable[int]]) -> int:
    """Run a command against a running Andon."""
    config = load(options)
    logs.setup("error")

    async def run() -> int:
        async with connected(config) as bus:
            return await work(Client(bus, config), config)

    return asyncio.run(run())


def ask(options: argparse.Namespace) -> int:
    """Ask a question, and print the answer."""
    question = _question(options)

    async def work(client: Any, _config: Config) -> int:
        ask = Ask(question=question, asset=options.asset, lang=options.lang)

        def early(answer: Answer) -> None:
            if not options.json:
                tell(f"{_answer_text(answer)}\n\n… the language model is working on it\n")

        answer = await client.ask(ask, timeout_s=options.timeout, early=early)
        if options.json:
            print_json(answer)
        else:
            tell(_answer_text(answer))
        return OK

    return talk(options, work)


def _question(options: argparse.Namespace) -> str:
    question = " ".join(options.question).strip()
    if not 0 < len(question) <= LONGEST_QUESTION:
        reason = f"it has {len(question)} characters" if question else "it is empty"
        raise Rejected("ask", reason, f"ask in 1 to {LONGEST_QUESTION} characters")
    return question


def _answer_text(answer: Answer) -> str:
    lines = [answer.text or answer.summary, ""]
    for c in answer.citations:
        page = f", p. {c.page}" if c.page else ""
        section = f", {c.section}" if c.section else ""
        lines.append(f"[{c.n}] {c.document}{page}{section}")
    if answer.note and answer.note not in lines[0]:
        lines.append(answer.note)
    return "\n".join(lines).rstrip()


def search(options: argparse.Namespace) -> int:
    """Print the passages a question finds."""
    request = Search(
        question=" ".join(options.question),
        asset=options.asset,
        collection=options.collection,
        kind=options.kind.lower(),
        tags=[tag.lower() for tag in options.tag],
        limit=options.limit,
    )

    async def work(client: Any, _config: Config) -> int:
        found = await client.search(request)
        rows = [
            {
                "file": hit.document.file,
                "document": hit.document.title,
                "revision": hit.document.revision,
                "page": hit.passage.page,
                "section": hit.passage.section,
                "text": hit.passage.text,
                "score": round(hit.score, 4),
            }
            for hit in found.hits
        ]
        if options.json:
            print_json(rows)
            return OK
        for row in rows:
            page = f" p. {row['page']}" if row["page"] else ""
            tell(f"{row['score']:.2f}  {row['file']}{page}  {row['section']}")
            tell(f"      {row['text'][:300]}\n")
        if "asset" in found.nobody:
            tell(f"No document is assigned to {options.asset}: all manuals were searched.")
        if "collection" in found.nobody:
            tell(f"No document is in the collection {options.collection}.")
        if found.nobody and found.known:
            tell(f"Known: {', '.join(found.known)}")
        if found.unknown_codes:
            tell(f"No document has the code {', '.join(found.unknown_codes)}.")
        for code, near in found.near.items():
            tell(f"Like {code}: {', '.join(near)}")
        if not rows:
            tell("Nothing relevant was found.")
        return OK

    return talk(options, work)


def status(options: argparse.Namespace) -> int:
    """Show how the services are."""

    async def work(client: Any, _config: Config) -> int:
        known = await client.status()
        if options.json:
            print_json(known)
        else:
            for name, status in known.items():
                if status is None and not installed(name):
                    tell(f"{name:<13}not installed: this node only answers")
                    continue
                if status is None:
                    tell(f"{name:<13}never seen: it is not running")
                    continue
                memory = f"{status.memory_mb:.0f} of {status.budget_mb:.0f} MB"
                facts = ", ".join(said(status.facts))
                detail = "; ".join(part for part in (status.reason, facts) if part)
                tell(f"{name:<13}{status.state:<9} {memory:<14} {detail}")
                for line in by_asset(status.facts) if options.verbose else ():
                    tell(f"{'':<13}{line}")
        ready = all(
            s.state == "ready" or s.facts.get("resting") if s else not installed(name)
            for name, s in known.items()
        )
        return OK if ready else FAILED

    return talk(options, work)
