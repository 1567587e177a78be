"""Readers in their child process: limits hold, nothing is left, the parent stays small."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from deploy.sample import content
from schemas.retrieval import Passage
from services.ingest import frames, sandbox
from services.runtime.errors import Fatal, Rejected, Retryable
from tests.support.ingest import TOKENIZER, Drawn, names_in
from tests.support.sample import sample_manual

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def manuals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("manuals")
    long = Drawn(folder / "long.pdf")
    for page in range(400):
        for line in range(40):
            long.line(f"Page {page} line {line}: check the supply of the drive, then reset it.")
        long.page()
    return {
        "pdf": sample_manual(folder / "pdf", "pdf"),
        "docx": sample_manual(folder / "docx", "docx"),
        "long": long.save(),
    }


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files that must be empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def job_of(path: Path, **options: object) -> frames.Job:
    return frames.Job(path=str(path), name=path.name, tokenizer=TOKENIZER, **options)  # type: ignore[arg-type]


async def read(
    job: frames.Job,
    limits: sandbox.Limits | None = None,
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> tuple[frames.Done, list[Passage]]:
    found: list[Passage] = []
    done = await sandbox.read(
        job, limits or sandbox.Limits(), progress=progress, batch=found.extend
    )
    return done, found


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if "services.ingest.reader" in child.cmdline()
    ]


@pytest.mark.parametrize(("kind", "pages"), [("pdf", 18), ("docx", None)])
async def test_the_sample_manual(
    manuals: dict[str, Path], temporary: Path, kind: str, pages: int | None
) -> None:
    steps: list[tuple[int, int | None]] = []
    done, found = await read(job_of(manuals[kind]), progress=lambda *s: steps.append(s))
    assert done.title.startswith("Kelvarn FD40")
    assert done.pages == pages
    assert done.passages == len(found) > 100
    assert [p.ordinal for p in found] == list(range(len(found)))
    assert {p.lang for p in found} == {"en", "zh"}
    if pages:
        assert steps == [(n, pages) for n in range(1, pages + 1)]
    for lang in ("en", "zh"):
        header = [getattr(cell, lang) for cell in content.FAULT_HEADER]
        rows = [p for p in found if p.kind == "row" and [f.name for f in p.fields] == header]
        assert [p.fields[0].value for p in rows] == [fault.code for fault in content.FAULTS]
    entries = [p.fields[0].value for p in found if p.kind == "entry"]
    assert len(entries) == 2 * len(set(entries)) == 16
    assert names_in(temporary) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.md", "# Faults\n\nCheck the [supply](http://192.0.2.1/).\n"),
        ("a.html", "<!doctype html><html><body><h1>Faults</h1><p>Check the supply.</p></body>"),
        ("a.csv", "Code,Cause\nE1,low\n"),
        ("a.json", '[{"id": 1, "cause": "low"}]'),
        ("a.txt", "Check the supply."),
    ],
)
async def test_each_text_format_in_a_process_of_its_own(
    tmp_path: Path, name: str, content: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    done, found = await read(job_of(path))
    assert done.passages == len(found) == 1


async def test_a_limit_on_pages(manuals: dict[str, Path]) -> None:
    with pytest.raises(Rejected, match="has 18 pages, more than the 10 allowed"):
        await read(job_of(manuals["pdf"], max_pages=10))


async def test_a_limit_on_time(manuals: dict[str, Path], temporary: Path) -> None:
    with pytest.raises(Rejected, match=r"more than 0\.05 s to read"):
        await read(job_of(manuals["long"]), sandbox.Limits(seconds=0.05))
    assert children() == []
    assert names_in(temporary) == []


@pytest.mark.parametrize(("kind", "memory"), [("docx", 70), ("long", 45), ("pdf", 20)])
async def test_a_limit_on_memory(manuals: dict[str, Path], kind: str, memory: int) -> None:
    with pytest.raises(Rejected, match=f"more than {memory} MB of memory"):
        await read(job_of(manuals[kind]), sandbox.Limits(memory_mb=memory))
    assert children() == []


async def test_a_limit_on_output(manuals: dict[str, Path]) -> None:
    with pytest.raises(Rejected, match="more than 0 MB of text"):
        await read(job_of(manuals["pdf"]), sandbox.Limits(output_mb=0))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
async def test_a_crash_has_a_reason(
    manuals: dict[str, Path], temporary: Path, number: signal.Signals
) -> None:
    def kill(done: int, _total: int | None) -> None:
        if done == 20:
            (child,) = children()
            child.send_signal(number)

    with pytest.raises(Rejected, match=rf"crashed over it \({number.name}\)"):
        await read(job_of(manuals["long"]), progress=kill)
    assert names_in(temporary) == []


async def test_a_cancelled_read_leaves_nothing(manuals: dict[str, Path], temporary: Path) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(
        read(job_of(manuals["long"]), progress=lambda _done, _total: begun.set())
    )
    await begun.wait()
    assert len(children()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == []
    assert names_in(temporary) == []


async def test_a_missing_tokenizer_is_named(manuals: dict[str, Path]) -> None:
    job = frames.Job(path=str(manuals["pdf"]), name="m.pdf", tokenizer="/nowhere/tokenizer.json")
    with pytest.raises(Fatal, match=r"/nowhere/tokenizer\.json is missing"):
        await read(job)


async def test_a_file_that_is_no_tokenizer(manuals: dict[str, Path]) -> None:
    job = frames.Job(path=str(manuals["pdf"]), name="m.pdf", tokenizer=str(manuals["pdf"]))
    with pytest.raises(Fatal, match="no tokenizer file"):
        await read(job)


def confined(code: str, **limits: int) -> subprocess.CompletedProcess[str]:
    given = {"parent": os.getpid(), "memory_mb": 200, "cpu_s": 20, "open_files": 32} | limits
    arguments = ", ".join(f"{name}={value}" for name, value in given.items())
    script = f"from services.ingest.confine import confine\nconfine({arguments})\n{code}"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import socket as s; s.socket(s.AF_INET, s.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.fork()",
    ],
)
def test_a_reader_has_no_network_and_starts_no_program(code: str) -> None:
    done = confined(code)
    assert done.returncode == 1
    assert "a reader may not do this" in done.stderr


def test_a_reader_is_in_a_network_of_its_own_where_it_may() -> None:
    done = confined("print(open('/proc/net/dev').read().count(':'))")
    if os.geteuid() != 0:
        pytest.skip("only root may always make a network namespace")
    assert done.stdout.strip() == "1", done.stderr  # the loopback of the new namespace, down


def test_a_reader_runs_out_of_memory() -> None:
    done = confined("x = bytearray(300 * 2**20)")
    assert "MemoryError" in done.stderr


def test_a_reader_runs_out_of_files() -> None:
    assert "Too many open files" in confined("x = [open('/dev/null') for _ in range(40)]").stderr


def test_a_reader_runs_out_of_processor_time() -> None:
    assert confined("while True: pass", cpu_s=1).returncode == -signal.SIGXCPU


def test_a_reader_ends_with_its_parent() -> None:
    code = (
        "import subprocess,sys,os\n"
        "p=subprocess.Popen([sys.executable,'-c','from services.ingest.confine import confine\\n"
        "import os;confine(parent=os.getppid(),memory_mb=200,cpu_s=20,open_files=32)\\n"
        "print(1,flush=True)\\nimport time;time.sleep(60)'],stdout=subprocess.PIPE)\n"
        "p.stdout.readline()\nprint(p.pid,flush=True)\nos._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    child = int(done.stdout)
    if psutil.pid_exists(child):
        gone, alive = psutil.wait_procs([psutil.Process(child)], timeout=20)
        assert gone, alive


def test_a_reader_whose_starter_is_gone_already_ends() -> None:
    done = confined("print('still here')", parent=os.getpid() + 1)
    assert (done.returncode, done.stdout) == (1, "")


def test_a_reader_works_where_the_service_is_process_1(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Check the supply.")
    code = (
        "import asyncio,os\n"
        "from services.ingest import frames,sandbox\n"
        "assert os.getpid() == 1\n"
        f"job=frames.Job(path={str(path)!r},name='a.txt',tokenizer={TOKENIZER!r})\n"
        "ignore=lambda *_:None\n"
        "done=asyncio.run(sandbox.read(job,sandbox.Limits(),progress=ignore,batch=ignore))\n"
        "print(done.passages)\n"
    )
    unshare = shutil.which("unshare")
    inside = ["--pid", "--fork", "--mount-proc"]
    if os.geteuid() != 0:
        inside = ["--user", "--map-root-user", *inside]
    if not unshare or subprocess.run([unshare, *inside, "true"], check=False).returncode != 0:
        pytest.skip("no process namespace can be made here")
    done = subprocess.run(
        [unshare, *inside, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "1", done.stderr


async def test_no_room_for_the_reader_is_no_fault_of_the_file(
    manuals: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(Retryable, match="cannot be started: No such file"):
        await read(job_of(manuals["pdf"]))


def test_the_service_stays_small() -> None:
    code = (
        "import sys,services.ingest.service\n"
        "heavy=('unstructured','pdfplumber','pypdfium2','numpy','tokenizers','lxml','docx')\n"
        "print(*[m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
