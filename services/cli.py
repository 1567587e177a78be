"""The command `andon`: what it understands. What is done is in services/commands.py and others."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from services import access, broker_commands, evaluation, player, prompts, rack
from services.runtime import config as configuration
from services.runtime.errors import AndonError, Fatal, Unavailable, leaves
from services.terminal import print_json, say, tell

CUT_OFF = 141  # as a shell has it for SIGPIPE
OK, FAILED, UNAVAILABLE, WRONG_CONFIG = 0, 1, os.EX_UNAVAILABLE, os.EX_CONFIG


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code.

    0 done, 1 failed, 2 wrong usage, 69 Andon is not running, 78 wrong configuration.
    """
    options = _parser().parse_args(argv)
    try:
        code = int(options.run(options))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output had enough; what is left to flush at the end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CUT_OFF
    except KeyboardInterrupt:
        say("\nandon: interrupted; what was handed over goes on, `andon documents` shows it")
        return 130
    except AndonError as error:
        say(f"andon: {error}")
        if getattr(options, "json", False):
            problem = {"kind": error.kind, "operation": error.operation}
            print_json({"error": {**problem, "reason": error.reason, "hint": error.hint}})
        if isinstance(error, Fatal):
            return WRONG_CONFIG
        return UNAVAILABLE if isinstance(error, Unavailable) else FAILED
    else:
        return code


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

    _starting(command)

    add = command("add", _library("add"), "Add documents and wait.")
    add.description = (
        "Add documents and wait. They may be PDF, scans and pictures of pages, Word, Excel,"
        " PowerPoint and OpenDocument files, RTF, EPUB, HTML, Markdown, e-mail, CSV, JSON and text."
        " A folder says of its new files what it says in the inbox: its name is their collection,"
        " those of the folders in it are tags, an andon.yaml says more; options go before it."
    )
    add.add_argument(
        "path", nargs="+", help="files, folders with all that is in them, or patterns ('*.pdf')"
    )
    _describing(add)
    patience = add.add_mutually_exclusive_group()
    patience.add_argument("--no-wait", action="store_true", help="return when they are queued")
    patience.add_argument(
        "--searchable",
        action="store_true",
        help="return when they are found by codes and words; vectors follow",
    )

    ask = command("ask", _command("ask"), "Ask a question and print the cited answer.")
    ask.add_argument("question", nargs="+", help="in English or Chinese")
    ask.add_argument("--asset", help="the machine it is about")
    ask.add_argument("--lang", choices=("en", "zh"), help="language of the answer")
    ask.add_argument(
        "--timeout", type=_number(1, 3600), default=90, metavar="S", help="seconds to wait (90)"
    )

    search = command(
        "search", _command("search"), "Find passages, without making an answer of them."
    )
    search.add_argument("question", nargs="+", help="words, a question or a fault code")
    search.add_argument("--asset", default="", help="the machine it is about")
    _limiting(search)
    search.add_argument(
        "--limit", type=_number(1, 50), default=5, metavar="N", help="passages at most (5)"
    )

    documents = command(
        "documents", _library("documents"), "List the library, or show one document."
    )
    documents.add_argument("document", nargs="?", help="id or file name of one to show")
    documents.add_argument("--asset", help="only those that belong to this machine")
    documents.add_argument("--state", help="only those in this state: ready, failed, queued, …")
    _limiting(documents)

    edit = command(
        "edit",
        _library("edit"),
        "Change what is said about a document; nothing is read again. An empty word takes back:"
        " --tag ''.",
    )
    edit.add_argument("document", help="id or file name")
    _describing(edit)

    rollback = command(
        "rollback", _library("rollback"), "Let a former revision of a document answer again."
    )
    rollback.add_argument("document", help="id or file name")
    rollback.add_argument(
        "--to",
        type=_number(1, 1_000_000),
        default=0,
        metavar="N",
        help="which revision, an older or a newer one; default: the one before",
    )

    remove = command(
        "remove", _library("remove"), "Remove documents with all that was made from them."
    )
    remove.add_argument("document", nargs="+", help="id or file name")
    remove.add_argument("--purge", action="store_true", help="delete the original as well")

    command(
        "status", _command("status"), "Show how the services are; exit code 1 unless all are ready."
    )

    player.declare(command)
    evaluation.declare(command)
    prompts.declare(commands, common, command)

    model = commands.add_parser("model", help="Look at the language models, or change to another.")
    rack.declare(model.add_subparsers(metavar="COMMAND", required=True), common)

    _limiting_units(command)
    access.declare(commands, common)
    broker_commands.declare(commands, common)
    _declare_config(commands, common)
    return parser


def _declare_config(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add what there is about the configuration."""
    config = commands.add_parser("config", help="Look at the configuration.")
    check = config.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "check", parents=[common], help="Check the file and say what is wrong in it."
    )
    check.add_argument("file", nargs="?", help="the file to check")
    check.set_defaults(run=_config_check)


def _starting(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add what starts everything."""
    up = command("up", _up, "Start a broker and all services in this terminal; Ctrl-C ends them.")
    up.add_argument("--data", metavar="DIR", help="where everything is kept (andon-data)")
    up.add_argument(
        "--port", type=_number(0, 65535), help="TCP port of the broker; 0 for a free one (1883)"
    )
    up.add_argument(
        "--no-broker", action="store_true", help="use the configured broker, start none"
    )
    up.add_argument(
        "--model",
        type=Path,
        metavar="FILE|FOLDER",
        help="run a llama-server for this GGUF file, or one of the folder's",
    )


def _describing(command: argparse.ArgumentParser) -> None:
    """Add what can be said about a document."""
    command.add_argument("--title", help="title to cite; default: the document's own")
    command.add_argument(
        "--asset",
        action="append",
        help="machine it belongs to, plant/+ for all of a plant; again for more",
    )
    command.add_argument("--tag", action="append", help="any word to find it by; again for more")
    command.add_argument(
        "--kind", help="manual, fault-list, wiring, datasheet, procedure, history, or another word"
    )
    command.add_argument("--model", help="the product it is about")
    command.add_argument("--collection", help="the shelf it stands on: a name for many documents")
    command.add_argument("--lang", help="its language, en or zh; default: found from the text")


def _limiting_units(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Add what systemd is told about this box."""
    limits = command(
        "limits", _limits, "Write what this box allows each unit of systemd's, as drop-ins."
    )
    limits.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where units lie")
    limits.add_argument(
        "--profile", type=Path, metavar="FILE", help="the box's (/etc/andon/profile.yaml)"
    )


def _limiting(command: argparse.ArgumentParser) -> None:
    """Add what documents can be chosen by."""
    command.add_argument("--collection", default="", help="only documents of this shelf")
    command.add_argument("--kind", default="", help="only documents of this kind")
    command.add_argument(
        "--tag", action="append", default=[], help="only documents with this tag; again for more"
    )


def _library(name: str) -> Callable[[argparse.Namespace], int]:
    """Return what runs a command about documents."""

    def run(options: argparse.Namespace) -> int:
        from services import shelf  # noqa: PLC0415

        return int(getattr(shelf, name)(options))

    return run


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """Return what runs a command; it is loaded then, as --help need not wait for the bus."""

    def run(options: argparse.Namespace) -> int:
        from services import commands  # noqa: PLC0415

        return int(getattr(commands, name)(options))

    return run


def _number(least: int, most: int) -> Callable[[str], int]:
    """Return what reads a whole number of an option."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"a number from {least} to {most}, not {text!r}")
        return int(text)

    return number


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
        model=options.model,
        tell=tell,
    )

    def ready(running: Up) -> None:
        tell(
            f"\nAndon is up. Broker: {running.config.broker.url}  Data: {running.config.data}\n"
            f"Drop manuals into {running.config.inbox_dir}\n"
            "or, in another terminal:\n"
            "  andon add MANUAL.pdf\n"
            '  andon ask "What does fault E005 mean?"\n'
            "Ctrl-C ends it."
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


def _limits(options: argparse.Namespace) -> int:
    from services import limits  # noqa: PLC0415

    config = configuration.load(configuration.find(options.config))
    profile = limits.profile_of(options.profile or limits.PROFILE)
    changed = limits.write(options.to, config, profile)
    if options.json:
        print_json({"changed": changed})
    else:
        for path in changed:
            tell(str(path))
    return OK


def _config_check(options: argparse.Namespace) -> int:
    path = configuration.find(options.file or options.config)
    config = configuration.load(path)
    if options.json:
        print_json({"file": None if path is None else str(path), "ok": True, "config": config})
    else:
        tell(f"{path or 'no file, the defaults'}: ok")
    return OK


if __name__ == "__main__":
    sys.exit(main())
