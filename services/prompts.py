"""`andon prompt …` and `andon trace`: what they understand.

What is done is in prompting.py and stories.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from schemas.prompts import PromptName

Declare = Callable[[str, Callable[[Any], int], str], argparse.ArgumentParser]

_NAMES: tuple[str, ...] = get_args(PromptName)
_ANSWER = "its id, or the machine it was about, for the latest: plant/motor7"
_ABOUT = (
    "What the language model is told, for faults and for questions, in English and Chinese. A"
    " prompt is a template with two blocks: {% block system %}, the same for every request, and"
    " {% block question %}, which may use {{ question }}, {{ code }}, {{ text }}, {{ asset }} and"
    " {{ occurrences }}. Version 0 is the file that ships with Andon."
)


def declare(
    commands: Any, common: argparse.ArgumentParser, command: Declare
) -> None:  # `commands` has no public type
    """Add the commands to the command line.

    Args:
        commands: what `add_subparsers` returned.
        common: the options every command has.
        command: adds a command of one word.
    """
    prompt = commands.add_parser("prompt", help="Look at and change what the model is told.")
    prompt.description = _ABOUT
    subs = prompt.add_subparsers(metavar="COMMAND", required=True)

    def sub(name: str, help_: str, *, named: bool = True) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = subs.add_parser(
            name, parents=[common], help=help_, description=help_
        )
        if named:
            made.add_argument("name", choices=_NAMES, help="which prompt")
        made.set_defaults(run=_run(name))
        return made

    listed = sub("list", "Show which prompts answer, or all versions of one.", named=False)
    listed.add_argument("name", nargs="?", choices=_NAMES, help="all versions of this one")

    show = sub("show", "Print the text of a prompt, the active one unless told otherwise.")
    _version(show)

    save = sub("save", "Keep a file as a new version; it answers when it is made active.")
    save.add_argument("file", type=Path, help="the template; - for standard input")
    save.add_argument("--note", default="", help="what it is for")
    _author(save)
    save.add_argument("--activate", action="store_true", help="make it active at once")

    diff = sub("diff", "Compare two versions.")
    diff.add_argument("before", type=_number, metavar="VERSION", help="the one that is left")
    diff.add_argument(
        "after", type=_number, nargs="?", metavar="VERSION", help="the other one (the active one)"
    )

    activate = sub("activate", "Make new answers with a version from now on.")
    activate.add_argument("version", type=_number, help="its number; 0 for the file that ships")
    _author(activate)

    _author(sub("rollback", "Make the version active again that was active before."))

    attempt = sub(
        "try",
        "Have the model answer what it was asked before with another prompt, and show the answer"
        " beside the old one. Nothing is published or kept.",
    )
    which = attempt.add_mutually_exclusive_group()
    which.add_argument(
        "--file", type=Path, help="a template that is not saved; - for standard input"
    )
    _version(which)
    attempt.add_argument("--against", required=True, metavar="ANSWER", help=_ANSWER)
    _asking(attempt)

    trace = command(
        "trace", _run("trace"), "Show how an answer came about: prompt, passages, model, times."
    )
    trace.add_argument("answer", help=_ANSWER)
    trace.add_argument(
        "--again",
        action="store_true",
        help="have the model write it again with the same request and seed, and compare; exit code"
        " 1 where it is not the same. Nothing is published or kept",
    )
    _asking(trace)


def _author(command: argparse.ArgumentParser) -> None:
    command.add_argument("--author", default="", metavar="NAME", help="who you are")


def _version(command: Any) -> None:  # a parser or a group of one
    command.add_argument("--version", type=_number, metavar="N", help="which; 0: the shipped file")


def _asking(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--place", default="", help="where it was given, where several answers have that id"
    )
    command.add_argument(
        "--timeout", type=_seconds, default=300, metavar="S", help="seconds to wait (300)"
    )


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) > 2**31:
        raise argparse.ArgumentTypeError(f"the number of a version, not {text!r}")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3600:
        raise argparse.ArgumentTypeError(f"a number from 1 to 3600, not {text!r}")
    return int(text)


def _run(name: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        from services import prompting, stories  # noqa: PLC0415  --help need not wait for the bus

        done = stories.trace if name == "trace" else prompting.COMMANDS[name]
        return int(done(options))

    return run
