"""`python -m services.model_unit`: the model's server as a systemd unit.

It runs what was chosen, see model_server.py, where the configuration's `llm_bridge.url` says, and
ends where there is no model: systemd starts it again when one comes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import glob
import itertools
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from schemas.models import Chosen
from services.model_server import ModelServer, choose
from services.runtime import choice
from services.runtime import config as configuration
from services.runtime.config import Config
from services.runtime.errors import AndonError, Damaged, Fatal
from services.runtime.notify import notify, watchdog_s
from services.runtime.process import EXIT_CONFIG, EXIT_FAILED

_HERE = {"127.0.0.1", "localhost", "::1"}


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM; return the exit code, 0 where there is no model."""
    parser = argparse.ArgumentParser(description="The language model's server.")
    parser.add_argument("--config", metavar="FILE", help="configuration file (config.yaml)")
    options = parser.parse_args(argv)
    try:
        return asyncio.run(_main(configuration.load(configuration.find(options.config))))
    except AndonError as error:
        _tell(str(error))
        return EXIT_CONFIG if isinstance(error, Fatal) else EXIT_FAILED


async def _main(config: Config) -> int:
    notify("READY=1")  # the model takes its time; who waits for it looks at server.json
    port = port_of(config.llm_bridge.url)
    if port is None:
        _tell(f"llm_bridge.url is {config.llm_bridge.url!r}: no model's server of this box")
        return 0
    if reasons := await asyncio.to_thread(_none_chosen, config):
        _tell(f"no model: {reasons}; `andon model use` chooses one that is in the folder")
        return 0
    server = ModelServer(
        config.data_dir,
        stop_within_s=config.stop_within_s,
        tell=_tell,
        port=port,
        key=config.llm_bridge.api_key,
    )
    keeping = asyncio.create_task(server.keep(), name="keep")
    beating = asyncio.create_task(_beat(server), name="watchdog")
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, keeping.cancel)
    try:
        await keeping
    except asyncio.CancelledError:
        notify("STOPPING=1")
    finally:
        beating.cancel()
    return 0


def port_of(url: str) -> int | None:
    """Return the port on which a model's server of this box is to listen; None for another's."""
    parts = urlsplit(url)
    return parts.port if parts.scheme == "http" and parts.hostname in _HERE else None


def _none_chosen(config: Config) -> str:
    """Choose a model where none is chosen yet; return why there is none, empty where there is."""
    with contextlib.suppress(Damaged):  # it was removed
        if choice.read(config.data_dir, Chosen):
            return ""
    reasons = []
    for folder in itertools.chain.from_iterable(map(glob.glob, config.model_folders)):
        try:
            chosen = choose(Path(folder), config)
        except Fatal as error:
            reasons.append(error.reason)
        else:
            choice.write(config.data_dir, Chosen(now=chosen))
            return ""
    return "; ".join(reasons) or f"{', '.join(config.model_folders)}: no such folder"


async def _beat(server: ModelServer) -> None:
    """Tell systemd that the event loop turns, and that a server that was ready still answers."""
    every = watchdog_s()
    while every is not None:
        if not server.serving or await server.answers(every / 3):
            notify("WATCHDOG=1")
        await asyncio.sleep(every / 4)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
