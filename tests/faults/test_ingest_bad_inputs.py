"""Damaged, encrypted, fuzzed and odd files, real ones: each is read or has a reason.

All of them go through the sandbox, two at a time. The ones that crash or hang a parser in some
library are among them; what matters is that the parent goes on and tells why.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import psutil
import pytest

from services.ingest import frames, sandbox
from services.ingest.readers import Readers
from services.runtime.errors import Rejected
from tests.support.ingest import TOKENIZER, names_in
from tests.support.shared_data import needed_data

pytestmark = pytest.mark.faults

AT_ONCE = 2
LIMITS = sandbox.Limits(memory_mb=512, seconds=30.0, output_mb=64)
WITHOUT_A_REASON = ("", "None", "unknown")
ENCRYPTED = "needs a password"


async def outcome(readers: Readers, path: Path, gate: asyncio.Semaphore) -> tuple[Path, str]:
    """Return the reason a file cannot be read, `read` when it can."""
    job = frames.Job(path=str(path), name=path.name, tokenizer=TOKENIZER)
    async with gate:
        try:
            done = await sandbox.read(
                readers,
                job,
                LIMITS,
                progress=lambda _done, _total: None,
                batch=lambda _batch: None,
            )
        except Rejected as error:
            return path, error.reason
    return path, "read" if done.passages else "no passages"


@pytest.mark.timeout(300)
async def test_every_bad_file_is_read_or_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = needed_data() / "bad_inputs"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(files) > 100
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gate = asyncio.Semaphore(AT_ONCE)
    async with Readers() as readers:
        found = dict(await asyncio.gather(*(outcome(readers, path, gate) for path in files)))
    assert [p.name for p, reason in found.items() if reason in WITHOUT_A_REASON] == []
    assert [p.name for p, reason in found.items() if reason == "no passages"] == []
    # A crash of the reader has a reason as well, but none of these files causes one today.
    assert [p.name for p, reason in found.items() if "crashed" in reason] == []
    assert [
        path.name
        for path, reason in found.items()
        if path.parent.name == "pdf_encrypted" and ENCRYPTED not in reason
    ] == []
    assert sum(reason == "read" for reason in found.values()) > 50
    assert names_in(tmp_path) == []
    assert psutil.Process().children(recursive=True) == []
