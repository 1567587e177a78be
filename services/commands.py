"""What the commands of `andon` do that speak to a running Andon."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from schemas.answers import Answer, Ask
from schemas.knowledge import DocumentState
from schemas.retrieval import Search
from services.client import Client, connected
from services.running import settings
from services.runtime import log as logs
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import Rejected
from services.terminal import print_json, say, tell

OK, FAILED = 0, 1
LONGEST_QUESTION = 4000
"""Characters, as `schemas.answers.Ask` has it."""


def load(options: argparse.Namespace) -> Config:
    """Return the configuration a command names or finds."""
    return settings(options.config)


def _talk(options: argparse.Namespace, work: Callable[[Any, Config], Awaitable[int]]) -> int:
    """Run a command against a running Andon."""
    config = load(options)
    logs.setup("error")

    async def run() -> int:
        async with connected(config) as bus:
            return await work(Client(bus, config), config)

    return asyncio.run(run())


def add(options: argparse.Namespace) -> int:
    """Add files, and follow them until they answer."""
    files = [found for path in options.path for found in _files(path)]
    if options.title and len(files) > 1:
        raise Rejected("add", "--title names one document, several were given")

    async def work(client: Any, _config: Config) -> int:
        states = []
        for path, name in files:
            try:
                state, unchanged = await client.add(
                    path,
                    name=name,
                    title=options.title,
                    assets=options.asset,
                    wait=not options.no_wait,
                    progress=_progress(options),
                )
            except Rejected as error:  # this file; the others have nothing to do with it
                state, unchanged = _refused(name, error), False
            states.append(state)
            if not options.json:
                _clear_line()
                tell(_document_line(state, " (was there already)" if unchanged else ""))
        if options.json:
            print_json(states)
        return FAILED if any(state.state == "failed" for state in states) else OK

    return _talk(options, work)


def _refused(name: str, error: Rejected) -> DocumentState:
    reason = f"{error.reason} ({error.hint})" if error.hint else error.reason
    return DocumentState(
        doc_id="", title="", file=name, state="failed", reason=reason, revision=0, updated=now()
    )


def _files(path: Path) -> list[tuple[Path, str]]:
    """Return the files of a path, each with the name it is kept under.

    In a folder that is the path inside it, since two manuals may both have an index.md.
    """
    path = path.resolve()
    if path.is_file():
        return [(path, path.name)]
    if not path.is_dir():
        raise Rejected(f"add {path}", "no such file")
    found = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith((".", "~$")))
    if not found:
        raise Rejected(f"add {path}", "the folder has no files")
    return [(p, p.relative_to(path).as_posix()) for p in found]


def _progress(options: argparse.Namespace) -> Callable[[DocumentState], None]:
    """Return what draws the progress of a document, on a terminal only."""
    if options.json or not sys.stderr.isatty():
        return lambda _state: None

    def draw(state: DocumentState) -> None:
        if state.state == "indexing":
            done, total, unit = state.passages_done, state.passages, "passages"
        else:
            done, total, unit = state.pages_done, state.pages or 0, "pages"
        share = done / total if total else 0.0
        bar = "#" * int(share * 24)
        count = f"{done}/{total} {unit}" if total else ""
        sys.stderr.write(f"\r\033[K{state.file[:32]:<32} {state.state:<9}[{bar:<24}] {count}")
        sys.stderr.flush()

    return draw


def _clear_line() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")


def _document_line(state: DocumentState, remark: str = "") -> str:
    pages = f"{state.pages} pages, " if state.pages else ""
    detail = state.reason or f"{pages}{state.passages} passages, revision {state.revision}"
    if state.assets:
        detail += f", for {', '.join(state.assets)}"
    known_as = f"  [{state.doc_id}]" if state.doc_id else ""
    return f"{state.state:<9}{state.file}: {detail}{remark}{known_as}"


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

    return _talk(options, work)


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
    request = Search(question=" ".join(options.question), asset=options.asset, limit=options.limit)

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
        if found.unknown_codes:
            tell(f"No document has the code {', '.join(found.unknown_codes)}.")
        if not rows:
            tell("Nothing relevant was found.")
        return OK

    return _talk(options, work)


def documents(options: argparse.Namespace) -> int:
    """List the library."""

    async def work(client: Any, _config: Config) -> int:
        documents = await client.documents()
        if options.json:
            print_json(documents)
        else:
            tell("\n".join(map(_document_line, documents)) or "The library is empty.")
        return OK

    return _talk(options, work)


def remove(options: argparse.Namespace) -> int:
    """Remove documents."""

    async def work(client: Any, _config: Config) -> int:
        removed, code = [], OK
        for name in options.document:
            try:
                one = await client.remove(name, purge=options.purge)
            except Rejected as error:  # the others are removed all the same
                say(f"andon: {error}")
                code = FAILED
                continue
            removed.append(one)
            if not options.json:
                tell(f"removed {one.file}: {one.passages} passages no longer answer")
        if options.json:
            print_json(removed)
        return code

    return _talk(options, work)


def status(options: argparse.Namespace) -> int:
    """Show how the services are."""

    async def work(client: Any, _config: Config) -> int:
        known = await client.status()
        if options.json:
            print_json(known)
        else:
            for name, status in known.items():
                if status is None:
                    tell(f"{name:<13}never seen: it is not running")
                    continue
                memory = f"{status.memory_mb:.0f} of {status.budget_mb:.0f} MB"
                facts = ", ".join(f"{k} {v}" for k, v in status.facts.items() if v != "")
                detail = "; ".join(part for part in (status.reason, facts) if part)
                tell(f"{name:<13}{status.state:<9} {memory:<14} {detail}")
        ready = all(s is not None and s.state == "ready" for s in known.values())
        return OK if ready else FAILED

    return _talk(options, work)
