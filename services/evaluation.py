"""`andon eval`: gold questions put to a running Andon, and how well it answered them."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from schemas.knowledge import DocumentList
from services import gold, scorecard
from services.examiner import MOST, Examiner
from services.gold import Bad, Question
from services.runtime import log as logs
from services.runtime.config import Config
from services.runtime.errors import Rejected
from services.scorecard import Limit, Report
from services.terminal import print_json, say, tell

OK, FAILED = 0, 1
_EITHER = "--doc FILE, or --unanswerable"
KEPT = "gold.jsonl"
"""The kept questions, in the data folder."""

Declare = Callable[[str, Callable[[Any], int], str], argparse.ArgumentParser]


def declare(command: Declare) -> None:
    """Add the command to the command line."""
    run = command(
        "eval",
        _run,
        "Put questions with known answers to Andon, and measure. Exit code 1 where a limit is"
        " broken.",
    )
    run.add_argument(
        "file",
        nargs="*",
        help=f"questions, JSON Lines or a JSON list; default: those kept in DATA/{KEPT}",
    )
    run.add_argument(
        "--keep",
        metavar="QUESTION",
        help="keep a question with --doc and --page, or --unanswerable, and do no more",
    )
    run.add_argument("--doc", default="", help="document of --keep, or of rows that name none")
    run.add_argument(
        "--page", type=_page, action="append", default=[], metavar="N", help="page; again for more"
    )
    run.add_argument(
        "--phrase", action="append", default=[], help="words that must be found; again for more"
    )
    run.add_argument("--type", default="", help="kind of the kept question: symptom, code, …")
    run.add_argument("--unanswerable", action="store_true", help="no manual has the answer")
    run.add_argument(
        "--k", type=_places, default=(1, 3, 5), metavar="N,N", help="places to count (1,3,5)"
    )
    run.add_argument(
        "--form",
        action="append",
        default=[],
        metavar="TEXT",
        help="how codes without a question are asked for, with {code} and {title}; again for more",
    )
    run.add_argument(
        "--no-answers", action="store_true", help="search only: faster, and no model is asked"
    )
    run.add_argument("--misses", action="store_true", help="show each question that failed")
    run.add_argument("--out", type=Path, metavar="FILE", help="write all of it as JSON")
    run.add_argument("--baseline", type=Path, metavar="FILE", help="compare with an earlier --out")
    run.add_argument(
        "--fail-under",
        type=_limit(most=False),
        action="append",
        default=[],
        metavar="NAME=X",
        help="recall@3=0.9, or cross.recall@3=0.7 for one group; again for more",
    )
    run.add_argument(
        "--fail-over",
        type=_limit(most=True),
        action="append",
        default=[],
        metavar="NAME=X",
        help="refused=0.03, search_p99_ms=15; again for more",
    )


def _page(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a page from 1, not {text!r}")
    return int(text)


def _places(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= MOST for part in parts):
        raise argparse.ArgumentTypeError(f"numbers from 1 to {MOST} like 1,3,5, not {text!r}")
    return tuple(sorted({int(part) for part in parts}))


def _limit(*, most: bool) -> Callable[[str], Limit]:
    def limit(text: str) -> Limit:
        try:
            return scorecard.limit(text, most=most)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return limit


def _run(options: argparse.Namespace) -> int:
    # Loaded here, as --help need not wait for the bus.
    from services.client import Client, connected  # noqa: PLC0415
    from services.running import settings  # noqa: PLC0415

    config = settings(options.config)
    logs.setup("error")
    if not options.keep and (
        options.page or options.phrase or options.type or options.unanswerable
    ):
        raise Rejected("eval", "--page, --phrase, --type and --unanswerable belong to --keep")
    baseline = _baseline(options.baseline) if options.baseline else None
    questions, bad = ([], []) if options.keep else _read(options, config)

    async def work() -> int:
        async with connected(config) as bus:
            client = Client(bus, config)
            if options.keep:
                return await _keep(options, config, client)
            examiner = Examiner(client, options.k, answers=not options.no_answers)
            report = await examiner.report(questions, _progress)
        report = msgspec.structs.replace(report, files=_files(options, config), rejected=bad)
        if baseline:
            report = scorecard.compare(report, baseline)
        limits = [*options.fail_under, *options.fail_over]
        broken = [why for why in (limit.broken(report.figures) for limit in limits) if why]
        return _tell(msgspec.structs.replace(report, broken=broken), options)

    return asyncio.run(work())


def _tell(report: Report, options: argparse.Namespace) -> int:
    if options.out:
        _write(options.out, report)
    if options.json:
        print_json(report)
    else:
        for line in scorecard.lines(report):
            tell(line)
        if options.misses:
            k = 3 if 3 in options.k else options.k[-1]
            for line in ["", *scorecard.misses(report.results, k)]:
                tell(line)
    for line in report.broken:
        say(f"andon: {line}")
    return FAILED if report.broken else OK


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{done}/{total}" if done < total else "\r\033[K")
        sys.stderr.flush()


def _files(options: argparse.Namespace, config: Config) -> list[str]:
    return options.file or [str(config.data_dir / KEPT)]


def _read(options: argparse.Namespace, config: Config) -> tuple[list[Question], list[Bad]]:
    """Return the questions of all files; what is none is told, with its line."""
    questions: list[Question] = []
    bad: list[Bad] = []
    for file in _files(options, config):
        try:
            data = Path(file).read_bytes()
        except OSError as error:
            hint = "" if options.file else "`andon eval --keep QUESTION --doc FILE` begins it"
            raise Rejected(f"read {file}", str(error.strerror), hint) from error
        more, wrong = gold.read(data, doc=options.doc, forms=options.form)
        questions += more
        bad += wrong
        for one in wrong:
            say(f"{file}:{one.line}: {one.reason}")
    if not questions:
        raise Rejected("eval", f"no question in {', '.join(_files(options, config))}")
    return questions, bad


def _baseline(path: Path) -> Report:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise Rejected(f"read {path}", str(error.strerror)) from error
    except msgspec.MsgspecError as error:
        raise Rejected(f"read {path}", str(error), "it is no file written by --out") from error


def _write(path: Path, report: Report) -> None:
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    except OSError as error:
        raise Rejected(f"write {path}", str(error.strerror)) from error


async def _keep(options: argparse.Namespace, config: Config, client: Any) -> int:
    """Add a question to the kept ones, and say where its page is found today."""
    row: dict[str, Any] = {"question": options.keep}
    if options.unanswerable:
        if options.doc or options.page or options.phrase:
            raise Rejected("keep", "what is --unanswerable stands in no document", _EITHER)
        row["unanswerable"] = True
    else:
        if not options.doc:
            raise Rejected("keep", "the document is missing", _EITHER)
        listed = await client.document(options.doc)
        _check_pages(listed, options.page)
        row |= {"doc": listed.documents[0].file}
        row |= {"pages": options.page} if options.page else {}
    row |= {"must_contain": options.phrase} if options.phrase else {}
    row |= {"type": options.type} if options.type else {}
    line = msgspec.json.encode(row)
    questions, bad = gold.read(line)
    if bad:
        raise Rejected("keep", bad[0].reason)
    path = config.data_dir / KEPT
    kept = _append(path, line, questions[0])
    report = await Examiner(client, (MOST,), answers=False).report(questions, lambda *_: None)
    [result] = report.results
    if options.json:
        print_json({"file": str(path), "questions": kept, "result": result})
        return OK
    if options.unanswerable:
        today = "refused" if result.refused else "answered from some page"
    else:
        today = f"found at place {result.rank}" if result.rank else "not found"
    tell(f"kept in {path} ({kept} questions); today: {today}")
    return OK


def _check_pages(listed: DocumentList, pages: Sequence[int]) -> None:
    """Check that a document has these pages.

    Raises:
        Rejected: it answers nothing yet, or has no such page.
    """
    [state] = listed.documents
    if not (state.answers or state.searchable):
        raise Rejected(
            "keep",
            f"{state.file} does not answer: it is {state.state}",
            state.reason or "try again when `andon documents` says that it is ready",
        )
    known = {one.revision: one.pages for one in listed.revisions} | {state.revision: state.pages}
    there = known.get(state.answers or state.revision)
    if pages and there is None:
        raise Rejected(
            "keep",
            f"{state.file} has no pages",
            "leave --page out: the answer is then looked for anywhere in it",
        )
    if wrong := [page for page in pages if there is not None and page > there]:
        raise Rejected(
            "keep",
            f"{state.file} has {there} pages, and no page {', '.join(map(str, wrong))}",
            "pages are counted from 1, the cover too, whatever is printed on them",
        )


def _append(path: Path, line: bytes, question: Question) -> int:
    """Add a line to the kept questions; return how many there are now."""
    try:
        data = path.read_bytes() if path.exists() else b""
        known, _ = gold.read(data)
        if any(one.question == question.question and one.asset == question.asset for one in known):
            raise Rejected("keep", "this question is kept already", f"edit {path} to change it")
        with path.open("ab") as file:
            file.write((b"\n" if data and not data.endswith(b"\n") else b"") + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Rejected(f"write {path}", str(error.strerror)) from error
    return len(known) + 1
