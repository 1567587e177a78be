"""The model's server as a child of `andon up --model`: it runs what the bridge chose."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from schemas.models import Choice, Chosen, Running
from services.broker import any_port
from services.child import Child, End
from services.llm_bridge import memory
from services.llm_bridge.cartridges import Found, models_in
from services.llm_bridge.files import name_of
from services.llm_bridge.identity import seen
from services.llm_bridge.marks import Marks
from services.runtime import choice
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import Damaged, Fatal, Retryable

Tell = Callable[[str], None]

_HOST = "127.0.0.1"
_LOOK_S = 0.2
_LONG_LOG = 1 << 20
_TAIL = 16 * 1024
_STAMP = re.compile(r"\s*\d+\.\d\d\.\d{3}\.\d{3} [A-Z] +")
"""With what llama-server begins a line: time and kind."""
_WHY = "error loading model: "
_ENVIRONMENT = {
    "LLAMA_ARG_CACHE_RAM": "0",
    "LLAMA_ARG_LOG_VERBOSITY": "2",
    "LLAMA_ARG_BATCH": os.environ.get("LLAMA_ARG_BATCH", "64"),
}
"""No cache beside the slots' own, which may take 8 GB; warnings and errors in the log; tokens of a
prompt read at a time, since it can be cut off only in between. Where a llama-server is too old for
one of them it passes over it."""
_CACHE = "andon/llama-server-*/llama-server"
_MIB = 1 << 20
_CHOOSE = "choose the model"


def program() -> list[str]:
    """Return what starts a llama-server: that of PATH, of `make llama-server`, or of the wheel.

    Raises:
        Fatal: there is none.
    """
    if found := shutil.which("llama-server"):
        return [found]
    if built := kept():
        return [str(built)]
    if importlib.util.find_spec("xllamacpp"):
        return [sys.executable, "-m", "services.llama_child"]
    raise Fatal(
        "start the model's server",
        "there is no llama-server",
        "install llama.cpp's, or `pip install andon[local-llm]`, or call `make llama-server`",
    )


def kept() -> Path | None:
    """Return the newest that `make llama-server` built; None where there is none."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return max(home.glob(_CACHE), key=lambda path: path.stat().st_mtime_ns, default=None)


def choose(model: Path, config: Config) -> Choice:
    """Return the model to begin with: the file, or of a folder what was in use, or its largest.

    Raises:
        Fatal: it cannot be used, or none of the folder can; the reason says why.
    """
    folder = model if model.is_dir() else model.parent
    found = models_in(str(folder))
    if model != folder:
        found = [one for one in found if str(model) in one.group.parts]
        if not found:
            raise Fatal(_CHOOSE, f"{model} is no GGUF file, or not there")
    room = memory.available()
    room = min(room, config.llm_bridge.model_memory_mb * _MIB or room)
    # A folder's largest is its best; the one that was in use stands before all.
    before = _before(config.data_dir)
    found.sort(
        key=lambda one: (before is None or one.group.path != before.path, -one.group.look.size)
    )
    marks = Marks(choice.folder(config.data_dir) / "checksums.json")
    reasons = []
    for one in found:
        if why := one.reason or _not_allowed(one, config, marks):
            reasons.append(f"{one.group.path}: {why}")
        elif context := _context(one, config, room):
            slots = config.llm_bridge.slots
            return Choice(path=one.group.path, context=context, slots=slots, since=now())
        else:
            reasons.append(f"{one.group.path}: too large for this box")
    raise Fatal(_CHOOSE, "\n".join(reasons) or f"there is no GGUF file in {folder}")


def _before(data: Path) -> Choice | None:
    try:
        chosen = choice.read(data, Chosen)
    except Damaged:
        return None  # it was removed; what stood in it is chosen anew
    return chosen.now if chosen else None


def _context(found: Found, config: Config, room: int) -> int | None:
    settings = config.llm_bridge
    assert found.header is not None  # noqa: S101  a model without a reason has one
    return memory.context_that_fits(
        found.header,
        found.group.look.size,
        slots=settings.slots,
        wanted=settings.context,
        room=room,
    )


def _not_allowed(found: Found, config: Config, marks: Marks) -> str:
    allowed = {mark.lower() for mark in config.llm_bridge.allowed_models}
    if not allowed or allowed.issuperset(map(marks.make, found.group.parts)):
        return ""
    return "its checksum is not among llm_bridge.allowed_models"


class ModelServer:
    """Runs the model of `<data>/model/current.json`, and another one when that file says so.

    What becomes of it is in `<data>/model/server.json`: the bridge changes the model back when
    one fails.
    """

    def __init__(
        self,
        data: Path,
        *,
        stop_within_s: float,
        tell: Tell,
        port: int | None = None,
        key: str | None = None,
    ) -> None:
        """Prepare.

        Args:
            data: the data folder.
            stop_within_s: how long the server has to end when told to.
            tell: where a line for a person goes.
            port: where it listens; None for a free one.
            key: what who asks it must know, empty for nothing; None for a new one.

        Raises:
            Fatal: there is no program to run.
        """
        self._program = program()
        self._port = port or any_port()
        self._data = data
        self._stop_within_s = stop_within_s
        self._tell = tell
        self._log = choice.folder(data) / "server.log"
        self._ended = asyncio.Event()
        self._child: Child | None = None
        self.url = f"http://{_HOST}:{self._port}"
        """Where it listens, always."""
        self.key = secrets.token_hex(16) if key is None else key
        """Without it nobody on this machine is answered; empty: everybody is."""
        self._file = ""
        """What tells the file that the server has read from others."""
        self.serving = False
        """Whether a model is loaded and answers."""

    @property
    def pid(self) -> int | None:
        """Of the server that runs now."""
        return self._child.pid if self._child else None

    async def answers(self, within_s: float) -> bool:
        """Return whether it answers, in so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                return await _healthy(self._port)
        except TimeoutError:
            return False

    async def keep(self) -> None:
        """Run until cancelled; the server ends with it."""
        serving: asyncio.Task[None] | None = None
        running: Choice | None = None
        try:
            while True:
                chosen = self._chosen(running)
                if (chosen and chosen.since) != (running and running.since):
                    await _end(serving)
                    serving = (
                        asyncio.create_task(self._serve(chosen), name="serve") if chosen else None
                    )
                    running = chosen
                if serving and serving.done():
                    serving.result()
                self._shorten()
                await asyncio.sleep(_LOOK_S)
        finally:
            await _end(serving)
            choice.remove(self._data, Running)

    def _shorten(self) -> None:
        """Begin the log anew when it is long: a server that runs for years may complain for years.

        It is written to by appending, so who writes goes on at its new end.
        """
        if self._log.exists() and self._log.stat().st_size > _LONG_LOG:
            os.truncate(self._log, 0)

    def _chosen(self, running: Choice | None) -> Choice | None:
        try:
            chosen = choice.read(self._data, Chosen)
        except (Damaged, Retryable) as error:
            self._tell(str(error))
            return running
        return chosen.now if chosen else None

    async def _serve(self, chosen: Choice) -> None:
        """Run one model, again when it ends."""
        self._say(chosen, "starting")
        begun = self._log.stat().st_size if self._log.exists() else 0
        self._child = child = Child(
            "llama-server",
            [*self._program, *_options(chosen), "--host", _HOST, "--port", str(self._port)],
            stop_within_s=self._stop_within_s,
            tell=self._tell,
            log=self._log,
            env=_ENVIRONMENT | ({"LLAMA_API_KEY": self.key} if self.key else {}),
            after=lambda end: self._after(chosen, end, begun),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(child.keep(), name="llama-server")
            while True:
                self._ended.clear()
                await self._ready()
                self._say(chosen, "ready")
                self._tell(f"llama-server is ready: {name_of(chosen.path)}")
                await self._ended.wait()
                self._say(chosen, "starting")

    def _after(self, chosen: Choice, end: End, begun: int) -> None:
        """Take note that it ended by itself."""
        said = choice.read(self._data, Running)
        if said and said.state == "ready":
            self._ended.set()
        else:
            self._say(chosen, "failed", f"llama-server {end}: {_last_words(self._log, begun)}")

    async def _ready(self) -> None:
        """Return when the model answers."""
        while not await _healthy(self._port):  # noqa: ASYNC110  another process's state
            await asyncio.sleep(_LOOK_S)

    def _say(
        self, chosen: Choice, state: Literal["starting", "ready", "failed"], why: str = ""
    ) -> None:
        self.serving = state == "ready"
        if state == "starting":  # it is read from now on
            self._file = seen(Path(chosen.path))
        said = Running(since=chosen.since, state=state, reason=why, file=self._file)
        choice.write(self._data, said)


def _options(chosen: Choice) -> Sequence[str]:
    return (
        *("--model", chosen.path),
        *("--ctx-size", str(chosen.context * chosen.slots)),
        *("--parallel", str(chosen.slots)),
    )


async def _healthy(port: int) -> bool:
    """Return whether a llama-server says that its model is loaded."""
    try:
        reader, writer = await asyncio.open_connection(_HOST, port)
    except OSError:
        return False
    try:
        writer.write(b"GET /health HTTP/1.0\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


def _last_words(log: Path, begun: int) -> str:
    """Return the last line that tells of an error, or the last.

    llama-server ends with lines that only say that it failed, after the one that says why.

    Args:
        log: what it said.
        begun: where in it this model was started, bytes.
    """
    with log.open("rb") as file:
        size = log.stat().st_size
        # Where it was begun anew meanwhile, all of it is of this model.
        file.seek(max(begun if begun <= size else 0, size - _TAIL))
        said = file.read().decode("utf-8", "replace").splitlines()
    lines = [line for line in (_STAMP.sub("", line).strip() for line in said) if line]
    telling = [line for line in lines if "error" in line.lower()]
    why = [line for line in telling if _WHY in line]
    found = why or telling or lines
    return found[-1].rpartition(_WHY)[2][:300] if found else "it said nothing"


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
