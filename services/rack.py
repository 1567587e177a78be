"""`andon model list | info | use`: the language models, as cartridges."""

from __future__ import annotations

import argparse
import sys
from contextlib import aclosing
from typing import Any

from schemas.channels import LIST_MODELS, USE_MODEL
from schemas.models import Cartridge, ListModels, ModelList, Switched, Switching, UseModel
from services.runtime.config import Config
from services.runtime.errors import Rejected
from services.terminal import print_json, tell

OK, FAILED = 0, 1
_SWITCH_S = 1200.0
"""Until the answers that were begun are finished, a model is loaded, and another one after it."""


def declare(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""

    def command(name: str, run: Any, help_: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=help_, description=help_
        )
        sub.set_defaults(run=run)
        return sub

    command("list", _list, "List the models in the folders, and which one is in use.")
    info = command("info", _info, "Show what a model is and needs, and why it is refused.")
    info.add_argument("name", nargs="?", help="name or path; default: the one in use")
    use = command(
        "use",
        _use,
        "Change to another model. Answers that were begun finish first; one that cannot be loaded"
        " is refused with the reason, and the model in use stays.",
    )
    use.add_argument("name", help="name or path, as `andon model list` shows it")
    use.add_argument(
        "--context",
        type=int,
        default=0,
        metavar="N",
        help="tokens of a request; default: as many as are of use and fit",
    )


def _list(options: argparse.Namespace) -> int:
    async def work(client: Any, _config: Config) -> int:
        listed: ModelList = await client.call(LIST_MODELS, ListModels())
        if options.json:
            print_json(listed)
            return OK
        for one in listed.models:
            needs = f"{one.memory_mb:.0f} MB" if one.memory_mb else ""
            name = f"{one.name:<32} {one.state:<9}"
            tell(f"{name} {one.quantisation:<8} {needs:>9}  {one.reason}".rstrip())
        if not listed.models:
            tell(f"There is no model in {', '.join(listed.folders)}.")
        if listed.switching:
            tell(f"{listed.switching} is being loaded.")
        if listed.available_mb:
            tell(f"{listed.available_mb:.0f} MB of memory can be had.")
        return OK

    return _talk(options, work)


def _info(options: argparse.Namespace) -> int:
    async def work(client: Any, _config: Config) -> int:
        listed: ModelList = await client.call(LIST_MODELS, ListModels())
        one = _named(listed, options.name)
        if options.json:
            print_json(one)
            return OK
        for label, value in _lines(one):
            if value:
                tell(f"{label:<14}{value}")
        return OK

    return _talk(options, work)


def _named(listed: ModelList, name: str | None) -> Cartridge:
    some = [
        one
        for one in listed.models
        if (name in (one.name, one.path) if name else one.state == "in use")
    ]
    if len(some) == 1:
        return some[0]
    what = f"no model {name}" if name else "no model of these folders is in use"
    if some:
        what = f"several are called {name}: {', '.join(one.path for one in some)}"
    raise Rejected("show the model", what, "`andon model list` shows which there are")


def _lines(one: Cartridge) -> list[tuple[str, str]]:
    parts = f" in {one.parts} files" if one.parts > 1 else ""
    heads = f"{one.heads} heads ({one.kv_heads} of keys and values)" if one.heads else ""
    shape = f"{one.layers} layers of {one.width}, {heads}, {one.vocabulary} words"
    used = f"{one.context} tokens of {one.trained_context} it was made for"
    return [
        ("name", one.name),
        ("state", one.state),
        ("reason", one.reason),
        ("file", f"{one.path}, {one.size_mb:.0f} MB{parts}"),
        ("calls itself", one.title),
        ("kind", " ".join(filter(None, (one.architecture, one.quantisation)))),
        ("shape", shape if one.layers else ""),
        ("tokenizer", one.tokenizer),
        ("chat template", ("yes" if one.chat_template else "none") if one.layers else ""),
        ("context", used if one.context else ""),
        ("memory", f"{one.memory_mb:.0f} MB" if one.memory_mb else ""),
        ("sha256", one.sha256),
    ]


def _use(options: argparse.Namespace) -> int:
    async def work(client: Any, _config: Config) -> int:
        request = UseModel(name=options.name, context=options.context)
        async with aclosing(client.stream(USE_MODEL, request, deadline_s=_SWITCH_S)) as steps:
            async for step in steps:
                if isinstance(step, Switching) and not options.json:
                    sys.stderr.write(f"{step.text} …\n")
                elif isinstance(step, Switched) and options.json:
                    print_json(step)
                elif isinstance(step, Switched):
                    room = f"{step.context} tokens a request"
                    tell(f"{step.model} answers now ({room}, after {step.seconds:g} s).")
        return OK

    return _talk(options, work)


def _talk(options: argparse.Namespace, work: Any) -> int:
    from services.commands import talk  # noqa: PLC0415  --help need not wait for the bus

    return talk(options, work)
