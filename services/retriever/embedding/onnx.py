"""The bundled model: int8 ONNX run by onnxruntime, tokenised by the tokenizers library."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from tokenizers import Tokenizer

# Wheels from 1.29 on send telemetry unless this stands before the import (onnxruntime #27379).
# Ours is older; should somebody install another, it is silent all the same.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

from services.retriever.embedding import Vectors
from services.runtime.errors import Fatal

BATCH_TOKENS = 384
"""Tokens computed together, padding included. More are no faster on a processor (7,000 to 7,600
tokens a second from 256 to 1,024) and take more memory: two batches at once 38 MB of 256, 67 MB
of 512."""

SMALL = ("model.onnx", "tokenizer.json")
"""Files whose hash is checked before they are used, 3 ms."""
MEND = "install Andon again, or copy the model's folder again"


NICE = 5
"""Added to the niceness of threads that embed passages: a question gets the processor first."""


def _step_back() -> None:
    """Let other threads go first; on Linux niceness is a thread's own."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.nice(0) + NICE)


class Card(msgspec.Struct, frozen=True):
    """model.json beside the model, as deploy/models/export.py writes it."""

    name: str
    """Name of the model."""
    dimension: int
    """Length of a vector."""
    max_tokens: int
    """What is longer is cut, tokens."""
    sha256: dict[str, str]
    """Hash of each file."""


class OnnxEmbedder:
    """A folder with model.onnx, tokenizer.json and model.json.

    A batch is computed by one thread, several of them side by side: a batch shared out among two
    threads, operator by operator, takes a quarter more of the processor, and a question that comes
    between waits for the others' turn.
    """

    def __init__(self, folder: str | Path, *, threads: int = 1, batch: int = 8) -> None:
        """Load the model.

        Args:
            folder: where the files are.
            threads: batches computed side by side.
            batch: texts computed together, at most.

        Raises:
            Fatal: a file is missing, or model or tokenizer is damaged; for the weights see
                `verify`.
        """
        folder = self._folder = Path(folder)
        hint = "set retriever.embedding.model to the folder of the model"
        try:
            self._card = msgspec.json.decode((folder / "model.json").read_bytes(), type=Card)
            self._check(*SMALL)
            self._name = self._named()
            self._stamp = f"{self._name} {self._weights()}"
            self._tokenizer = Tokenizer.from_buffer((folder / "tokenizer.json").read_bytes())
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            raise Fatal("load embedding model", f"{folder}: {error}", hint) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self._card.max_tokens)
        self._batch = batch
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own types are not importable by name
            raise Fatal("load embedding model", f"{folder}: {error}", hint) from error
        self._threads = ThreadPoolExecutor(
            threads, thread_name_prefix="embed", initializer=_step_back
        )
        self._shrink = ort.RunOptions()
        self._shrink.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    @property
    def name(self) -> str:
        """Return the model's name, the beginning of its weights' hash, and one of the rest."""
        return self._name

    @property
    def dimension(self) -> int:
        """Return the length of a vector."""
        return self._card.dimension

    @property
    def sample(self) -> None:
        """Return nothing: the name tells all files."""

    @property
    def stamp(self) -> str:
        """Return name, size and times of the weights, as they were before they were loaded."""
        return self._stamp

    def confirm(self, *, briefly: bool = False) -> None:
        """Nothing to ask: what is loaded stays."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector a text, [len(texts), dimension]."""
        encoded = [e.ids for e in self._tokenizer.encode_batch_fast(list(texts))]
        if len(encoded) == 1:  # a question waits for nobody
            return self._compute(encoded)
        out = np.zeros((len(encoded), self._card.dimension), dtype=np.float32)
        batches = list(self._batches([len(ids) for ids in encoded]))
        computed = self._threads.map(
            lambda rows: self._compute([encoded[row] for row in rows]), batches
        )
        for rows, vectors in zip(batches, computed, strict=True):
            out[rows] = vectors
        return out

    def _compute(
        self, encoded: Sequence[Sequence[int]], options: ort.RunOptions | None = None
    ) -> Vectors:
        """Return the vectors of a batch."""
        width = max(map(len, encoded))
        ids = np.zeros((len(encoded), width), dtype=np.int64)
        mask = np.zeros((len(encoded), width), dtype=np.int64)
        for row, one in enumerate(encoded):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        feed = {"input_ids": ids, "attention_mask": mask}
        vectors: Vectors = self._session.run(["embedding"], feed, options)[0]
        return vectors

    def rest(self) -> None:
        """Give the memory of batches back: the runtime keeps it, and 12 % of time with it."""
        self._compute([self._tokenizer.encode("a").ids], self._shrink)

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yield the texts' numbers, texts of like length together."""
        rows: list[int] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):
            if rows and (len(rows) >= self._batch or (len(rows) + 1) * lengths[row] > BATCH_TOKENS):
                yield rows
                rows = []
            rows.append(row)
        if rows:
            yield rows

    def verify(self) -> None:
        """Compare the weights with their hash: 25 MB, 60 ms, 300 ms from a cold disk.

        Raises:
            Fatal: they are damaged, or gone.
        """
        try:
            self._check(*(set(self._card.sha256) - {*SMALL, "LICENSE"}))
        except OSError as error:
            raise Fatal("check embedding model", str(error), MEND) from error

    def _named(self) -> str:
        """Name everything that a vector depends on; a file the card has no hash of is read."""
        files = [name for name in (*SMALL, "weights.bin") if (self._folder / name).is_file()]
        hashes = {name: self._card.sha256.get(name) or self._hash(name) for name in files}
        weights = hashes.pop("weights.bin", "") or hashes.get("model.onnx", "")
        rest = f"{sorted(hashes.items())} {self._card.max_tokens} {self._card.dimension}"
        digest = hashlib.blake2b(rest.encode(), digest_size=4).hexdigest()
        return f"{self._card.name}@{weights[:12]}.{digest}"

    def _weights(self) -> str:
        large = sorted(set(self._card.sha256) - {*SMALL, "LICENSE"})
        looks = [(self._folder / name).stat() for name in large]
        return " ".join(f"{one.st_size}:{one.st_mtime_ns}:{one.st_ctime_ns}" for one in looks)

    def _hash(self, name: str) -> str:
        with (self._folder / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _check(self, *names: str) -> None:
        for name in names:
            wanted = self._card.sha256.get(name)
            if wanted is None:  # a card without it
                continue
            if self._hash(name) != wanted:
                raise Fatal(
                    "check embedding model",
                    f"{self._folder / name} is damaged: its sha256 is not that of model.json",
                    MEND,
                )

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
