"""`andon replay` and `andon record`: recorded messages out to a broker, and in from one."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from services.replay import Message, Reject, Timing, check_topic, read, record
from services.running import settings
from services.runtime import log as logs
from services.runtime.clock import now
from services.runtime.config import Config
from services.runtime.errors import Rejected, Retryable

_IN_FLIGHT = 100
_AWAY_S = 30.0
_SHOWN = 20
_DRAW_EVERY_S = 0.25

Publish = Callable[[str, bytes], Any]
Declare = Callable[[str, Callable[[Any], int], str], argparse.ArgumentParser]


class Summary(msgspec.Struct, kw_only=True):
    """What became of a recording."""

    sent: int = 0
    """Messages the broker has."""
    rejected: list[Reject] = []
    """Lines that could not be sent; of a repeated recording those of the first time."""
    skipped: int = 0
    """Lines passed over: blank, or rows of the history that are no faults."""
    seconds: float = 0.0
    """How long it took; with --dry-run, how long it would take."""


def declare(command: Declare) -> None:
    """Add the two commands to the command line."""
    replay = command(
        "replay", _replay, "Publish recorded or exported faults again, with their timing."
    )
    replay.add_argument("file", type=Path, help="JSON Lines, .gz or not; - for standard input")
    replay.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N", help="times as fast; 0: no waiting (1)"
    )
    replay.add_argument("--topic-prefix", default="", metavar="X", help="put X/ before each topic")
    replay.add_argument("--loop", type=_times, default=1, metavar="N", help="play it N times (1)")
    replay.add_argument("--dry-run", action="store_true", help="print what would be sent and when")
    recording = command("record", _record, "Write the faults that come into a file, until Ctrl-C.")
    recording.add_argument("file", type=Path, help="new file; compressed where it ends in .gz")
    recording.add_argument(
        "--topic", nargs="+", metavar="FILTER", help="what to record (default: all triggers)"
    )


def _speed(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError("allowed: 0 to 1000000")
    return value


def _times(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("allowed: 1 and more")
    return value


@contextlib.contextmanager
def _lines(path: Path) -> Iterator[Iterator[bytes]]:
    """Open a recording, compressed or not."""
    try:
        if str(path) == "-":
            yield iter(sys.stdin.buffer)
            return
        with path.open("rb") as raw:
            zipped = raw.peek(2)[:2] == b"\x1f\x8b"
            lines: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
            yield iter(lines)
    except (OSError, EOFError, zlib.error) as error:
        raise Rejected(f"read {path}", str(getattr(error, "strerror", None) or error)) from error


class Player:
    """Plays recordings; what happens to each line goes into `summary`."""

    def __init__(self, *, speed: float, prefix: str = "") -> None:
        """Prepare.

        Args:
            speed: what the time between messages is divided by; 0: no waiting.
            prefix: put before each topic, with a slash between.

        Raises:
            Rejected: the prefix cannot stand in a topic.
        """
        check_topic(prefix)
        self._speed = speed
        self._prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        self.summary = Summary()

    def messages(self, path: Path, *, first: bool = True) -> Iterator[tuple[float, Message]]:
        """Yield the messages of a file, each with the second it is due."""
        timing = Timing(self._speed)
        with _lines(path) as lines:
            for one in read(lines):
                if isinstance(one, Message):
                    topic = self._prefix + one.topic
                    yield timing.due(one.at), Message(one.at, topic, one.payload)
                elif first:
                    if one is None:
                        self.summary.skipped += 1
                    else:
                        self.summary.rejected.append(one)

    async def play(
        self, path: Path, publish: Publish, *, loop: int, tick: Callable[[], None]
    ) -> None:
        """Publish a file's messages when they are due, in their order.

        Args:
            path: the file.
            publish: what brings one message to the broker.
            loop: how many times.
            tick: called after each message.

        Raises:
            Rejected: the file cannot be read.
            AndonError: as `publish`.
        """
        begun = time.monotonic()
        free = asyncio.Semaphore(_IN_FLIGHT)

        async def send(message: Message) -> None:
            try:
                await publish(message.topic, message.payload)
            finally:
                free.release()
            self.summary.sent += 1
            tick()

        try:
            async with asyncio.TaskGroup() as flying:
                for turn in range(loop):
                    started = time.monotonic()
                    for due, message in self.messages(path, first=not turn):
                        await asyncio.sleep(max(0.0, started + due - time.monotonic()))
                        await free.acquire()
                        flying.create_task(send(message), name="publish")
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self.summary.seconds = round(time.monotonic() - begun, 3)


def _replay(options: argparse.Namespace) -> int:
    player = Player(speed=options.speed, prefix=options.topic_prefix)
    if options.loop > 1 and str(options.file) == "-":
        raise Rejected("replay", "standard input can be played once", "name a file, or no --loop")
    if options.dry_run:
        _dry(player, options)
    else:
        asyncio.run(_until_told(_publish(player, options)))
    summary = player.summary
    if options.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(summary)).decode() + "\n")
    else:
        _tell(summary, "would be sent" if options.dry_run else "sent")
    return 1 if summary.rejected else 0


def _dry(player: Player, options: argparse.Namespace) -> None:
    summary = player.summary
    for turn in range(options.loop):
        due = 0.0
        for due, message in player.messages(options.file, first=not turn):
            summary.sent += 1
            if not options.json:
                head = message.payload[:80].decode("utf-8", "backslashreplace")
                at = summary.seconds + due
                sys.stdout.write(f"{at:10.3f} s  {message.topic}  {head}\n")
        summary.seconds = round(summary.seconds + due, 3)


async def _publish(player: Player, options: argparse.Namespace) -> None:
    # Here, so that --dry-run and the other commands need not wait for it.
    from services.client import connected  # noqa: PLC0415

    config = settings(options.config)
    logs.setup("error")
    draw = _progress(player.summary, options)
    async with connected(config) as bus:

        async def publish(topic: str, payload: bytes) -> None:
            while True:
                try:
                    await bus.publish(topic, payload)
                except Retryable:
                    # The broker may have it: twice is what QoS 1 allows, not at all is not.
                    await bus.wait_connected(_AWAY_S)
                else:
                    return

        await player.play(options.file, publish, loop=options.loop, tick=draw)


def _progress(summary: Summary, options: argparse.Namespace) -> Callable[[], None]:
    if options.json or not sys.stderr.isatty():
        return lambda: None
    drawn = 0.0

    def draw() -> None:
        nonlocal drawn
        if time.monotonic() - drawn >= _DRAW_EVERY_S:
            drawn = time.monotonic()
            sys.stderr.write(f"\r\033[K{summary.sent} sent, {len(summary.rejected)} rejected")
            sys.stderr.flush()

    return draw


def _tell(summary: Summary, verb: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    for one in summary.rejected[:_SHOWN]:
        sys.stderr.write(f"line {one.line}: {one.reason}\n")
    if (more := len(summary.rejected) - _SHOWN) > 0:
        sys.stderr.write(f"and {more} more lines\n")
    skipped = f", {summary.skipped} lines passed over" if summary.skipped else ""
    sys.stdout.write(
        f"{summary.sent} {verb}, {len(summary.rejected)} rejected{skipped},"
        f" {summary.seconds:.1f} s\n"
    )


async def _until_told(work: Any) -> None:
    """Run until done, or until SIGINT or SIGTERM."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _record(options: argparse.Namespace) -> int:
    config = settings(options.config)
    logs.setup("error")
    filters = options.topic or [trigger.topic for trigger in config.orchestrator.triggers]
    written = [0]
    with _new(options.file) as file:
        asyncio.run(_until_told(_write(config, list(dict.fromkeys(filters)), file, written)))
    if options.json:
        sys.stdout.write(msgspec.json.encode({"recorded": written[0]}).decode() + "\n")
    else:
        sys.stdout.write(f"{written[0]} messages in {options.file}\n")
    return 0


@contextlib.contextmanager
def _new(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("xb") as raw, contextlib.ExitStack() as stack:
            zipped: Any = raw
            if path.suffix == ".gz":
                zipped = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw))
            yield zipped
    except FileExistsError as error:
        raise Rejected(f"record {path}", "the file exists", "name a new one") from error
    except OSError as error:
        raise Rejected(f"record {path}", str(error.strerror or error)) from error


async def _write(config: Config, filters: list[str], file: IO[bytes], written: list[int]) -> None:
    from services.client import connected  # noqa: PLC0415

    async with connected(config) as bus:
        inbox = await bus.consume(*filters)
        sys.stderr.write(f"recording {' '.join(filters)}; Ctrl-C ends it\n")
        sys.stderr.flush()
        while True:
            for delivery in await inbox.batch():
                # What the broker kept from before did not happen now.
                if not delivery.retain:
                    file.write(record(delivery.topic, delivery.payload, now()))
                    written[0] += 1
                bus.ack(delivery)
            file.flush()
