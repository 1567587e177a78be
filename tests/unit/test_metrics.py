"""Memory as the kernel counts it."""

from __future__ import annotations

import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime import metrics
from services.runtime.metrics import memory_mb

pytestmark = pytest.mark.unit


def test_memory_taken_is_memory_counted() -> None:
    # A mapping of its own: the heap may have room left from what ran before.
    size = 32 * 2**20
    with mmap.mmap(-1, size) as held:
        before = memory_mb()
        for page in range(0, size, 4096):
            held[page] = 1
        after = memory_mb()
    assert 30 < after - before < 40


def test_other_process_and_one_that_is_gone() -> None:
    program = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        child.stdout.readline()  # before that it may have no memory of its own yet
        assert 1 < memory_mb(child.pid) < 100
        child.stdin.write(b"\n")
    with pytest.raises(ProcessLookupError):
        memory_mb(child.pid)


def test_kernel_that_hides_the_shares_still_tells_the_resident_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "7"
    folder.mkdir()
    (folder / "status").write_bytes(b"Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n")
    monkeypatch.setattr(metrics, "Path", lambda _root: tmp_path)
    assert memory_mb(7) == 2.0
    (folder / "smaps_rollup").write_bytes(b"Rss:  9000 kB\nPss:    1536 kB\nPss_Dirty: 5 kB\n")
    assert memory_mb(7) == 1.5
    (folder / "smaps_rollup").unlink()
    (folder / "status").write_bytes(b"Name:\tzombie\n")
    assert memory_mb(7) == 0.0
