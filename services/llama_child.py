"""llama.cpp's server from the wheel `xllamacpp`, in the place of a `llama-server` program.

`python -m services.llama_child --model FILE --port N …` understands what `andon up --model` says to
a llama-server, and of the environment LLAMA_API_KEY, LLAMA_ARG_BATCH and LLAMA_ARG_THREADS, as that
does. The wheel has no router mode.
"""

from __future__ import annotations

import argparse
import os
import signal


def main() -> None:
    """Serve until ended by a signal."""
    import xllamacpp  # noqa: PLC0415  100 MB of native code, only in the process that serves

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ctx-size", type=int, required=True)
    parser.add_argument("--parallel", type=int, required=True)
    options = parser.parse_args()

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    params.cache_ram_mib = 0
    params.verbosity = 2  # warnings and errors
    params.ui = False
    if key := os.environ.get("LLAMA_API_KEY"):
        params.api_keys = [key]
    if threads := os.environ.get("LLAMA_ARG_THREADS"):
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    if batch := os.environ.get("LLAMA_ARG_BATCH"):
        params.n_batch = int(batch)
        params.n_ubatch = min(params.n_ubatch, int(batch))
    server = xllamacpp.Server(params)  # noqa: F841  its threads serve for as long as it is kept
    # They know no Python signal handling: the default action ends them at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
