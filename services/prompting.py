"""What `andon prompt …` does."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.channels import (
    ACTIVATE_PROMPT,
    PROMPT,
    PROMPTS,
    ROLL_BACK_PROMPT,
    SAVE_PROMPT,
    TRY_PROMPT,
)
from schemas.prompts import (
    ActivatedPrompt,
    ActivatePrompt,
    ListPrompts,
    Made,
    PromptVersion,
    RollBackPrompt,
    SavedPrompt,
    SavePrompt,
    ShowPrompt,
    TriedPrompt,
    TryPrompt,
)
from services.commands import OK, talk
from services.runtime.config import Config
from services.runtime.errors import Rejected
from services.stories import doubts, rows, words, working
from services.terminal import print_json, tell

_LONGEST = 64_000
"""Bytes of a file that is read; what a template may have the orchestrator says."""


def listed(options: argparse.Namespace) -> int:
    """Show which prompts answer, or all versions of one."""

    async def work(client: Any, _config: Config) -> int:
        found: list[PromptVersion] = []
        request = ListPrompts(name=options.name)
        while True:
            page = await client.call(PROMPTS, request)
            found += page.prompts
            if not page.next:
                break
            request = ListPrompts(name=options.name, after=page.next)
        if options.json:
            print_json(found)
            return OK
        for one in found:
            tell(_line(one, alone=options.name is None))
        return OK

    return talk(options, work)


def _line(one: PromptVersion, *, alone: bool) -> str:
    """Return a version in a line; where it stands alone, with the newest if that is another."""
    newer = alone and one.newest > one.version
    told = [
        f"newest: {one.newest}" if newer else "",
        one.note,
        one.author and f"by {one.author}",
        one.created,
    ]
    active = "active" if one.active else ""
    said = ", ".join(part for part in told if part)
    return f"{f'{one.name}@{one.version}':<13}{active:<8}{said}".rstrip()


def show(options: argparse.Namespace) -> int:
    """Print the text of a prompt."""

    async def work(client: Any, _config: Config) -> int:
        request = ShowPrompt(name=options.name, version=options.version)
        found: PromptVersion = await client.call(PROMPT, request)
        if options.json:
            print_json(found)
        else:
            tell(found.text.rstrip("\n"))
        return OK

    return talk(options, work)


def save(options: argparse.Namespace) -> int:
    """Keep a file as a new version."""
    request = SavePrompt(
        name=options.name,
        text=_text(options.file),
        note=options.note,
        author=options.author,
        activate=options.activate,
    )

    async def work(client: Any, _config: Config) -> int:
        saved: SavedPrompt = await client.call(SAVE_PROMPT, request)
        if options.json:
            print_json(saved)
            return OK
        one = saved.prompt
        was = " (was there already)" if saved.unchanged else ""
        active = "it answers" if one.active else f"`andon prompt activate {one.name} {one.version}`"
        tell(f"saved as {one.name}@{one.version}{was}; {active}")
        return OK

    return talk(options, work)


def _text(path: Path) -> str:
    """Return what a file says. Raises Rejected."""
    operation = f"read {path}"
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(_LONGEST + 1)
        else:
            with path.open("rb") as file:
                data = file.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise Rejected(operation, f"it has more than {_LONGEST} bytes", "is it a template?")
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Rejected(operation, f"not UTF-8: {error}", "save it as UTF-8") from error
    except OSError as error:
        raise Rejected(operation, error.strerror or str(error)) from error


def diff(options: argparse.Namespace) -> int:
    """Compare two versions."""

    async def work(client: Any, _config: Config) -> int:
        before, after = [
            await client.call(PROMPT, ShowPrompt(name=options.name, version=version))
            for version in (options.before, options.after)
        ]
        lines = list(
            difflib.unified_diff(
                before.text.splitlines(),
                after.text.splitlines(),
                f"{before.name}@{before.version}",
                f"{after.name}@{after.version}",
                lineterm="",
            )
        )
        if options.json:
            print_json({"before": before.version, "after": after.version, "diff": lines})
        else:
            tell("\n".join(lines) or f"{before.version} and {after.version} say the same")
        return OK

    return talk(options, work)


def activate(options: argparse.Namespace) -> int:
    """Make a version active."""
    request = ActivatePrompt(name=options.name, version=options.version, author=options.author)

    async def work(client: Any, _config: Config) -> int:
        return _told(await client.call(ACTIVATE_PROMPT, request), options)

    return talk(options, work)


def rollback(options: argparse.Namespace) -> int:
    """Make the version active that was active before."""
    request = RollBackPrompt(name=options.name, author=options.author)

    async def work(client: Any, _config: Config) -> int:
        return _told(await client.call(ROLL_BACK_PROMPT, request), options)

    return talk(options, work)


def _told(done: ActivatedPrompt, options: argparse.Namespace) -> int:
    if options.json:
        print_json(done)
    else:
        one = done.prompt
        former = f", no longer {done.before}" if done.before != one.version else " (did already)"
        tell(f"{one.name}: version {one.version} answers{former}")
    return OK


def attempt(options: argparse.Namespace) -> int:
    """Have the model answer with another prompt, beside an old answer."""
    request = TryPrompt(
        name=options.name,
        answer_id=options.against,
        place=options.place,
        version=options.version,
        text=_text(options.file) if options.file else "",
    )
    if options.file and not request.text:
        raise Rejected(f"read {options.file}", "it is empty", "write a template into it")

    async def work(client: Any, _config: Config) -> int:
        working(options)
        tried: TriedPrompt = await client.call(TRY_PROMPT, request, deadline_s=options.timeout)
        if options.json:
            print_json(tried)
            return OK
        before, former, made = tried.before, tried.former, tried.made
        _headed("---", former, before.answered_by)
        tell(before.text)
        if former:
            rows(doubts(former))
        tell()
        _headed("+++", made, "")
        tell(words(made.generated))
        rows(doubts(made))
        if former is None:
            tell("\nNo model took part in that answer: its passages were searched for again.")
        return OK

    return talk(options, work)


def _headed(sign: str, made: Made | None, by: str) -> None:
    of = f"{made.prompt}, {made.generated.model}" if made else ""
    tell(f"{sign} {', '.join(part for part in (of, by) if part)}")


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": listed,
    "show": show,
    "save": save,
    "diff": diff,
    "activate": activate,
    "rollback": rollback,
    "try": attempt,
}
"""By the word behind `prompt`."""
