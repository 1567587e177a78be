"""The real llama-server, as `make llama-server` builds it: the reference, and router mode."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.model_server import kept
from tests.support.llama import LlamaProcess, wait_healthy
from tests.support.mosquitto import free_port


def llama_server() -> Path:
    """The program; the test is skipped where it was not built."""
    found = kept()
    if found is None:
        pytest.skip("no llama-server was built: call `make llama-server`")
    return found


@contextmanager
def server_process(folder: Path, *options: str, cwd: Path | None = None) -> Iterator[LlamaProcess]:
    """Run it for as long as the block lasts.

    Args:
        folder: where its log goes.
        options: of its command line, without address and port.
        cwd: where it is started.
    """
    port = free_port()
    log = folder / f"llama-server-{port}.log"
    with log.open("wb") as said:
        child = subprocess.Popen(
            [llama_server(), "--host", "127.0.0.1", "--port", str(port), *options],
            stdout=said,
            stderr=said,
            cwd=cwd,
            env={**os.environ, "LLAMA_ARG_CACHE_RAM": "0", "LLAMA_ARG_THREADS": "1"},
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_healthy(url)
        yield LlamaProcess(url=url, pid=child.pid, log=log)
    finally:
        child.terminate()
        child.wait(timeout=60)
