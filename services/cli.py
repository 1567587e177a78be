"""The command `andon`: up, add, ask, search, documents, remove, status, replay, record, config."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from schemas.answers import Answer, Ask
from schemas.knowledge import DocumentState
from schemas.retrieval import Search
from services import player
from services.runtime import config as configuration
from services.runtime import log as logs
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import AndonError, Fatal, Rejected, Unavailable, leaves

LONGEST_QUESTION = 4000
"""Characters, as `schemas.answers.Ask` has it."""
OK, FAILED, UNAVAILABLE, WRONG_CONFIG = 0, 1, os.EX_UNAVAILABLE, os.EX_CONFIG


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code.

    0 done, 1 failed, 2 wrong usage, 69 Andon is not running, 78 wrong configuration.
    """
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        _say("\nandon: interrupted; what was handed over goes on, `andon documents` shows it")
        return 130
    except AndonError as error:
        _say(f"andon: {error}")
        if isinstance(error, Fatal):
            return WRONG_CONFIG
        return UNAVAILABLE if isinstance(error, Unavailable) else FAILED


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", metavar="FILE", help="configuration file")
    common.add_argument("--json", action="store_true", help="print JSON for programs")

    parser = argparse.ArgumentParser(
        prog="andon",
        description="Machine faults in, the right page of the right manual out. Offline.",
        epilog="The configuration is --config, else $ANDON_CONFIG, else the first of "
        + ", ".join(configuration.SEARCHED)
        + ".",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[Any], int], help_: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[common], help=help_, description=help_)
        sub.set_defaults(run=run)
        return sub

    up = command("up", _up, "Start a broker and all services in this terminal; Ctrl-C ends them.")
    up.add_argument("--data", metavar="DIR", help="where everything is kept (andon-data)")
    up.add_argument(
        "--port", type=_number(0, 65535), help="TCP port of the broker; 0 for a free one (1883)"
    )
    up.add_argument(
        "--no-broker", action="store_true", help="use the configured broker, start none"
    )

    add = command("add", _add, "Add documents (PDF, DOCX, HTML, Markdown, text) and wait.")
    add.add_argument("path", nargs="+", type=Path, help="files, or folders of them")
    add.add_argument(
        "--asset", action="append", default=[], help="machine it belongs to, `plant/+` for all of"
    )
    add.add_argument("--title", default="", help="title to cite; default: the document's own")
    add.add_argument("--no-wait", action="store_true", help="return when they are queued")

    ask = command("ask", _ask, "Ask a question and print the cited answer.")
    ask.add_argument("question", nargs="+", help="in English or Chinese")
    ask.add_argument("--asset", help="the machine it is about")
    ask.add_argument("--lang", choices=("en", "zh"), help="language of the answer")
    ask.add_argument(
        "--timeout", type=_number(1, 3600), default=90, metavar="S", help="seconds to wait (90)"
    )

    search = command("search", _search, "Find passages, without making an answer of them.")
    search.add_argument("question", nargs="+", help="words, a question or a fault code")
    search.add_argument("--asset", default="", help="the machine it is about")
    search.add_argument(
        "--limit", type=_number(1, 50), default=5, metavar="N", help="passages at most (5)"
    )

    command("documents", _documents, "List the documents of the library.")

    remove = command("remove", _remove, "Remove documents with all that was made from them.")
    remove.add_argument("document", nargs="+", help="id or file name")
    remove.add_argument("--purge", action="store_true", help="delete the original as well")

    command("status", _status, "Show how the services are; exit code 1 unless all are ready.")

    player.declare(command)

    config = commands.add_parser("config", help="Look at the configuration.")
    check = config.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "check", parents=[common], help="Check the file and say what is wrong in it."
    )
    check.add_argument("file", nargs="?", help="the file to check")
    check.set_defaults(run=_config_check)
    return parser


def _number(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number of an option."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}, not {text!r}")
        return int(text)

    return number


def _load(options: argparse.Namespace) -> Config:
    return configuration.load(configuration.find(options.config))


def _talk(options: argparse.Namespace, work: Callable[[Any, Config], Awaitable[int]]) -> int:
    """Run a command against a running Andon."""
    config = _load(options)
    logs.setup("error")
    # Here, so that `config check` and --help need not wait for it.
    from services.client import Client, connected  # noqa: PLC0415

    async def run() -> int:
        async with connected(config) as bus:
            return await work(Client(bus, config), config)

    return asyncio.run(run())


def _up(options: argparse.Namespace) -> int:
    from services.up import Up  # noqa: PLC0415

    named = configuration.find(options.config)
    if named == Path(configuration.LEFT_BY_UP):
        named = None  # what an earlier `andon up` left is no configuration
    config = configuration.load(named)
    data = options.data or (config.data if named else "andon-data")
    up = Up(
        msgspec.structs.replace(config, data=data),
        port=options.port,
        own_broker=not options.no_broker,
        tell=lambda line: print(line, flush=True),
    )

    def ready(running: Up) -> None:
        print(
            f"\nAndon is up. Broker: {running.config.broker.url}  Data: {running.config.data}\n"
            "Try, in another terminal:\n"
            "  andon add MANUAL.pdf\n"
            '  andon ask "What does fault E005 mean?"\n'
            "Ctrl-C ends it.",
            flush=True,
        )

    return asyncio.run(_until_told(up.run(ready=ready)))


async def _until_told(work: Awaitable[None]) -> int:
    import signal  # noqa: PLC0415

    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return OK
    except ExceptionGroup as group:
        for error in leaves(group):
            if isinstance(error, AndonError):
                raise error from None
        raise
    return OK


def _add(options: argparse.Namespace) -> int:
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
                print(_document_line(state, " (was there already)" if unchanged else ""))
        if options.json:
            _print_json(states)
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


def _ask(options: argparse.Namespace) -> int:
    question = _question(options)

    async def work(client: Any, _config: Config) -> int:
        ask = Ask(question=question, asset=options.asset, lang=options.lang)

        def early(answer: Answer) -> None:
            if not options.json:
                print(f"{_answer_text(answer)}\n\n… the language model is working on it\n")

        answer = await client.ask(ask, timeout_s=options.timeout, early=early)
        if options.json:
            _print_json(answer)
        else:
            print(_answer_text(answer))
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


def _search(options: argparse.Namespace) -> int:
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
            _print_json(rows)
            return OK
        for row in rows:
            page = f" p. {row['page']}" if row["page"] else ""
            print(f"{row['score']:.2f}  {row['file']}{page}  {row['section']}")
            print(f"      {row['text'][:300]}\n")
        if found.unknown_codes:
            print(f"No document has the code {', '.join(found.unknown_codes)}.")
        if not rows:
            print("Nothing relevant was found.")
        return OK

    return _talk(options, work)


def _documents(options: argparse.Namespace) -> int:
    async def work(client: Any, _config: Config) -> int:
        documents = await client.documents()
        if options.json:
            _print_json(documents)
        else:
            print("\n".join(map(_document_line, documents)) or "The library is empty.")
        return OK

    return _talk(options, work)


def _remove(options: argparse.Namespace) -> int:
    async def work(client: Any, _config: Config) -> int:
        removed, code = [], OK
        for name in options.document:
            try:
                one = await client.remove(name, purge=options.purge)
            except Rejected as error:  # the others are removed all the same
                _say(f"andon: {error}")
                code = FAILED
                continue
            removed.append(one)
            if not options.json:
                print(f"removed {one.file}: {one.passages} passages no longer answer")
        if options.json:
            _print_json(removed)
        return code

    return _talk(options, work)


def _status(options: argparse.Namespace) -> int:
    async def work(client: Any, _config: Config) -> int:
        known = await client.status()
        if options.json:
            _print_json(known)
        else:
            for name, status in known.items():
                if status is None:
                    print(f"{name:<13}never seen: it is not running")
                    continue
                memory = f"{status.memory_mb:.0f} of {status.budget_mb:.0f} MB"
                facts = ", ".join(f"{k} {v}" for k, v in status.facts.items() if v != "")
                detail = "; ".join(part for part in (status.reason, facts) if part)
                print(f"{name:<13}{status.state:<9} {memory:<14} {detail}")
        ready = all(s is not None and s.state == "ready" for s in known.values())
        return OK if ready else FAILED

    return _talk(options, work)


def _config_check(options: argparse.Namespace) -> int:
    path = configuration.find(options.file or options.config)
    config = configuration.load(path)
    if options.json:
        _print_json({"file": None if path is None else str(path), "ok": True, "config": config})
    else:
        print(f"{path or 'no file, the defaults'}: ok")
    return OK


def _print_json(value: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
