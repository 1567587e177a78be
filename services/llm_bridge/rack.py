"""The models there are, the one in use, and the change to another: what `andon model` speaks to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from urllib.parse import urlsplit

from schemas.models import (
    Cartridge,
    Choice,
    ListModels,
    ModelList,
    ModelState,
    UseModel,
    UseStep,
)
from services.llm_bridge import memory
from services.llm_bridge.cartridges import Cartridges, Found
from services.llm_bridge.files import name_of
from services.llm_bridge.marks import Marks
from services.llm_bridge.router import Routed
from services.llm_bridge.switching import Exchange
from services.runtime import choice
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import Rejected, Unavailable
from services.runtime.process import Health

log = logging.getLogger(__name__)

_MIB = 1 << 20
_HERE = {"localhost", "127.0.0.1", "::1"}
_LISTED = 20
"""Models named in the status."""
_USE = "use the model"


class Rack:
    """Holds the cartridges, and knows which one is in."""

    def __init__(
        self,
        config: Config,
        exchange: Exchange | None,
        health: Health,
    ) -> None:
        """Begin; `exchange` changes the model, None where no server is configured."""
        self._settings = config.llm_bridge
        self._health = health
        self._folders = config.model_folders
        self._cartridges = Cartridges(
            self._folders,
            allowed=self._settings.allowed_models,
            marks=Marks(choice.folder(config.data_dir) / "checksums.json"),
            changed=self._note,
        )
        self._exchange = exchange
        if exchange is not None:
            exchange.changed = self._note
            if self._settings.allowed_models:
                exchange.may = self._allowed
        self._local = urlsplit(self._settings.url).hostname in _HERE
        self._note()

    async def run(self) -> None:
        """Follow the folders, forever."""
        await self._cartridges.run()

    async def list(self, _request: ListModels) -> ModelList:
        """Return the models there are."""
        room = await asyncio.to_thread(self._room)
        models = [self._described(found, room) for found in self._cartridges.found.values()]
        return ModelList(
            models=sorted(models, key=lambda one: (one.name, one.path)),
            folders=list(self._folders),
            switching=name_of(self._exchange.switching) if self._exchange else "",
            available_mb=_mib(room) if room is not None else 0.0,
        )

    async def use(self, request: UseModel) -> AsyncGenerator[UseStep, None]:
        """Change to a model, telling how far that is.

        Raises:
            Rejected: there is none of that name, it cannot be used, or it could not be loaded; the
                one in use stays.
            Unavailable: no server is configured, or it is away.
        """
        if self._exchange is None:
            raise Unavailable(_USE, "no language model is configured", "set llm_bridge.url")
        found = self._named(request.name)
        await self._exchange.can_switch()
        chosen = await self._choose(self._exchange, found, request.context)
        async with aclosing(self._exchange.to(chosen)) as steps:
            async for step in steps:
                yield step

    async def check(self) -> None:
        """Say which models fit by now, and when the file of the one in use is gone, or another.

        Its server has read it and answers on: that is a note, and nothing that is missing yet.
        """
        self._note()
        if self._replaced:
            self._remark(f"the file of the model in use was {self._replaced}")
            return
        current = self._exchange.current if self._exchange else None
        path = Path(current.path) if current else Path()
        ours = self._local and path.is_absolute()
        if current is None or not ours or await asyncio.to_thread(_is_there, path):
            self._remark("")
            return
        self._remark(
            f"the file of the model in use is gone, {current.path}: it answers until its server"
            " ends; bring the stick back, or `andon model use` another"
        )

    def _remark(self, said: str) -> None:
        """Set the note of the status, and log one that is new."""
        facts = self._health.facts
        if facts.get("note", "") != said:
            facts["note"] = said
            self._health.changed.set()
            if said:
                log.warning("%s", said)
            else:
                log.info("the file of the model in use is the one that was loaded")

    async def _choose(self, exchange: Exchange, found: Found, wanted: int) -> Choice:
        """Return the choice of a model.

        Raises:
            Rejected: it cannot be used.
        """
        path, name = found.group.path, found.group.name
        if not found.whole or found.checking:
            what = "its checksum is being made" if found.checking else "it is still being copied"
            raise Rejected(_USE, f"{name}: {what}", "wait until `andon model list` calls it ready")
        if found.reason or found.header is None:
            raise Rejected(_USE, f"{name}: {found.reason}", "`andon model list` shows the others")
        room = await asyncio.to_thread(self._room)
        size, slots = found.group.look.size, self._settings.slots
        if routed := await exchange.routed(path):
            if wanted and wanted * (routed.slots or 1) != routed.context:
                reason = "a router starts its models with its own --ctx-size"
                raise Rejected(_USE, f"{name}: {reason}", "leave --context out")
            slots = routed.slots or 1
            context = routed.context // slots or memory.LEAST_CONTEXT
            fits = memory.context_that_fits(
                found.header, size, slots=slots, wanted=context, room=room
            )
        else:
            wanted = wanted or self._settings.context
            fits = memory.context_that_fits(
                found.header, size, slots=slots, wanted=wanted, room=room
            )
        if fits is None:
            least = wanted or memory.LEAST_CONTEXT
            need = memory.need(found.header, size, context=least, slots=slots).total
            raise Rejected(_USE, f"{name}: {_too_large(need, least, room or 0)}", _SMALLER)
        return Choice(path=path, context=fits, slots=slots, since=now())

    def _named(self, name: str) -> Found:
        """Return a cartridge by name or path.

        Raises:
            Rejected: there is none, or several.
        """
        all_ = self._cartridges.found.values()
        some = [found for found in all_ if name in (found.group.path, found.group.name)]
        if len(some) == 1:
            return some[0]
        if some:
            paths = ", ".join(found.group.path for found in some)
            raise Rejected(f"{_USE} {name}", f"several have that name: {paths}", "name the path")
        raise Rejected(f"{_USE} {name}", "there is none of that name", "`andon model list`")

    def _room(self) -> int | None:
        """Return the memory a model may take, bytes; None where that is another machine's.

        What the model in use takes for itself will be free.
        """
        limit = self._settings.model_memory_mb * _MIB or None
        if not self._local:
            return limit
        free = memory.available()
        for found in list(self._cartridges.found.values()):  # we are in a thread: it may change
            if self._in_use(found) and found.header and self._health.facts.get("reachable"):
                slots, context = self._slots, self._context
                size = found.group.look.size
                free += memory.need(found.header, size, context=context, slots=slots).own
        return min(free, limit or free)

    def _allowed(self, model: Routed) -> bool:
        """Return whether a router's model is a cartridge whose checksum was found to be allowed."""
        return any(
            model.is_of(found.group.path) and found.sha256 and not found.reason
            for found in self._cartridges.found.values()
        )

    @property
    def _replaced(self) -> str:
        """What to do about another file in the place of the one in use; empty: it is the same."""
        if self._exchange is None or not self._health.facts.get("reachable"):
            return ""
        return self._exchange.replaced

    def _in_use(self, found: Found) -> bool:
        return self._exchange is not None and self._exchange.uses(found.group.path)

    @property
    def _context(self) -> int:
        """Tokens a request has now."""
        return int(self._health.facts.get("context", 0))

    @property
    def _slots(self) -> int:
        """Requests the server works on at the same time."""
        return max(1, int(self._health.facts.get("slots", 1)))

    def _described(self, found: Found, room: int | None) -> Cartridge:
        group, header = found.group, found.header
        failed = self._exchange.failed.get(group.path, "") if self._exchange else ""
        in_use = self._in_use(found)
        failed = (failed and f"could not be loaded: {failed}") or (self._replaced if in_use else "")
        if header is None:
            state: ModelState = "refused" if found.whole else "copying"
            return Cartridge(
                name=group.name,
                path=group.path,
                state=state,
                reason=found.reason or failed,
                size_mb=_mib(group.look.size),
                parts=group.wanted,
            )
        size, slots = group.look.size, self._settings.slots
        wanted = self._settings.context
        fits: int | None = self._context if in_use else None
        if not fits:
            fits = memory.context_that_fits(header, size, slots=slots, wanted=wanted, room=room)
        shown = fits or wanted or memory.LEAST_CONTEXT
        need = memory.need(header, size, context=shown, slots=slots).total
        reason = found.reason
        if not reason and fits is None and room is not None:
            reason = _too_large(need, shown, room)
        state = "refused" if reason else "checking" if found.checking else "ready"
        return Cartridge(
            name=group.name,
            path=group.path,
            state="in use" if in_use else state,
            reason=reason or failed,
            size_mb=_mib(size),
            parts=group.wanted,
            title=header.name,
            architecture=header.architecture,
            quantisation=header.quantisation,
            trained_context=header.context,
            layers=header.layers,
            width=header.width,
            heads=header.heads,
            kv_heads=max(header.kv_heads, default=0),
            vocabulary=header.vocabulary,
            tokenizer=header.tokenizer,
            chat_template=header.has_template,
            context=fits or 0,
            memory_mb=_mib(need),
            sha256=",".join(found.sha256),
        )

    def _note(self) -> None:
        """Tell everybody what there is and what happens."""
        room = self._room()
        listed = (self._described(found, room) for found in self._cartridges.found.values())
        usable = sorted(one.name for one in listed if one.state in {"ready", "in use"})
        names = ", ".join(usable[:_LISTED])
        switching = name_of(self._exchange.switching) if self._exchange else ""
        facts = self._health.facts
        if (facts.get("models"), facts.get("switching")) != (names, switching):
            facts.update(models=names, switching=switching)
            self._health.changed.set()


_SMALLER = "use a smaller model, or one of fewer bits; `andon model list` shows what fits"


def _too_large(need: int, context: int, room: int) -> str:
    return (
        f"too large for this box: it needs {_mib(need):.0f} MB for {context} tokens,"
        f" {_mib(room):.0f} MB can be had"
    )


def _is_there(path: Path) -> bool:
    """Return whether there is such a file; one that others may see and we may not is there."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:  # a stick that was pulled out gives errors of its own
        return False
    return True


def _mib(number: int) -> float:
    return round(number / _MIB, 1)
