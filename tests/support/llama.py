"""llama.cpp's HTTP server from the wheel `xllamacpp`, as a child process on a free port.

What is to know of xllamacpp:
- `Server(params)` loads the model, starts the same HTTP server as `llama-server` on a thread and
  returns when it listens; `listening_address` is `http://host:port`. `params.port` 0 takes a free
  port. There is no stop method: the process is ended.
- `params.n_ctx` is shared by the `n_parallel` slots; `/props` tells the context of one slot.
- JSON schemas go through LLGuidance on `/completion` (whitespace as the model likes, unless the
  schema has `"x-guidance": {"whitespace_flexible": false}`) and through GBNF on
  `/v1/chat/completions`. There a chat parser reads the output: one that ends in the middle of the
  JSON, by `max_tokens` or broken UTF-8, comes as an error 500, in a stream as a last `data:` frame
  with `error` in it.
- `cache_ram_mib` is 8192 unless set. The wheel is built without TLS.
- Rank pooling of a decoder, such as the tiny model, scores a text as one thing with one slot and
  as another with several, by what else is in the batch: use one.
- LLGuidance takes the lone space of a SentencePiece vocabulary for a special token and then lets
  the schema go; byte-level BPE works.

Run as a module it is that child: `python -m tests.support.llama '{"model": …}'`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class LlamaProcess:
    """A running server."""

    url: str
    """Base address, `http://127.0.0.1:port`."""
    pid: int
    """Process id."""
    log: Path
    """What it wrote to stderr."""


@contextmanager
def llama_process(
    model: Path,
    *,
    context: int = 4096,
    slots: int = 1,
    api_key: str = "",
    embedding: bool = False,
    rerank: bool = False,
    port: int = 0,
    batch: int = 2048,
) -> Iterator[LlamaProcess]:
    """Run the server for as long as the block lasts.

    Args:
        model: GGUF file.
        context: tokens for each slot.
        slots: requests worked on at the same time.
        api_key: asked of every request when not empty.
        embedding: serve `/v1/embeddings` (mean pooling) instead of completions.
        rerank: serve `/v1/rerank` (rank pooling) instead of completions.
        port: where to listen; 0 for a free one.
        batch: tokens of a prompt read at a time; only between two is a request stopped.
    """
    options = {
        "model": str(model),
        "context": context * slots,
        "slots": slots,
        "api_key": api_key,
        "embedding": embedding,
        "rerank": rerank,
        "port": port,
        "batch": batch,
    }
    log = model.with_name(f"{model.stem}-server-{time.monotonic_ns()}.log")
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.support.llama", json.dumps(options)],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # closes with us, whatever way we end; the child then ends too
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        assert child.stdout is not None
        assert child.stdin is not None
        url = child.stdout.readline().decode().strip()
        assert url.startswith("http"), f"no address: {url!r}; {log.read_text()[-2000:]}"
        wait_healthy(url)
        yield LlamaProcess(url=url, pid=child.pid, log=log)
    finally:
        child.terminate()
        child.wait(timeout=_START_S)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def wait_healthy(url: str) -> None:
    """Return when `/health` says ok; 503 while the model loads."""
    until = time.monotonic() + _START_S
    while True:
        connection = HTTPConnection(url.removeprefix("http://"), timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except (ConnectionError, TimeoutError):
            pass  # not listening yet, or busy; the time limit below is the judge
        finally:
            connection.close()
        assert time.monotonic() < until, f"{url} did not become healthy"
        time.sleep(0.02)


def _serve(options: dict[str, Any]) -> None:
    """Be the child: serve until stdin closes or SIGTERM."""
    import xllamacpp  # here, not in the tests' own process: it is 100 MB of native code

    params = xllamacpp.CommonParams()
    params.model.path = options["model"]
    params.n_ctx = options["context"]
    params.n_parallel = options["slots"]
    params.n_batch = options["batch"]
    params.n_ubatch = min(options["batch"], 512)
    # A stream takes a thread as long as it lasts; two more answer what else is asked.
    params.n_threads_http = options["slots"] + 3
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib = 0
    params.warmup = False
    params.ui = False
    params.port = options["port"]
    if options["api_key"]:
        params.api_keys = [options["api_key"]]
    if options["embedding"]:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    if options["rerank"]:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    # The C++ threads know no Python signal handling: the default action ends them at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
