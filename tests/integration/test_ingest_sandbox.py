"""Readers in their child process: limits hold, nothing is left, the parent stays small."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.sample import content
from schemas.retrieval import Passage
from services.ingest import frames, landlock, sandbox
from services.ingest.partition.effort import NeedsOcr
from services.ingest.readers import Readers
from services.runtime.errors import Fatal, Rejected, Retryable
from tests.support import formats
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
    async with Readers() as readers:
        done = await sandbox.read(
            readers, job, limits or sandbox.Limits(), progress=progress, batch=found.extend
        )
    return done, found


def children() -> list[psutil.Process]:
    """The readers at work."""
    return [child for child in psutil.Process().children() if child.name() == "andon-reader"]


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


@pytest.mark.parametrize(("kind", "memory"), [("docx", 40), ("long", 45), ("pdf", 20)])
async def test_a_limit_on_memory(manuals: dict[str, Path], kind: str, memory: int) -> None:
    with pytest.raises(Rejected, match=f"more than {memory} MB of memory"):
        await read(job_of(manuals[kind]), sandbox.Limits(memory_mb=memory))
    assert children() == []


async def test_want_of_memory_that_nobody_saw_coming(
    manuals: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A C++ library aborts without a word, before anybody looked how much the reader has."""

    async def blind(_self: object) -> None:
        return

    monkeypatch.setattr(sandbox._Child, "_watch", blind)
    with pytest.raises(Rejected, match="more than 20 MB of memory"):
        await read(job_of(manuals["pdf"]), sandbox.Limits(memory_mb=20))


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


def confined(code: str, **limits: Any) -> subprocess.CompletedProcess[str]:
    given = {"parent": os.getpid(), "memory_mb": 200, "cpu_s": 20, "open_files": 32} | limits
    arguments = ", ".join(f"{name}={value!r}" for name, value in given.items())
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
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    child = int(done.stdout)
    if psutil.pid_exists(child):
        gone, alive = psutil.wait_procs([psutil.Process(child)], timeout=60)
        assert gone, alive


def test_a_reader_whose_starter_is_gone_already_ends() -> None:
    done = confined("print('still here')", parent=os.getpid() + 1)
    assert (done.returncode, done.stdout) == (1, "")


def opening(path: Path | str, mode: str) -> str:
    """Opened by Python, and by the C library behind its back."""
    flags = "O_RDONLY" if mode == "r" else "O_WRONLY | os.O_CREAT"
    return (
        "import ctypes, os\n"
        f"try:\n    open({str(path)!r}, {mode!r})\nexcept PermissionError:\n    print('denied')\n"
        "else:\n    print('opened')\n"
        f"print(ctypes.CDLL(None).open({str(path).encode()!r}, os.{flags}, 0o600) >= 0)\n"
    )


needs_landlock = pytest.mark.skipif(
    not landlock.version(), reason="this kernel has no Landlock (Linux 5.13, enabled at boot)"
)


@needs_landlock
def test_a_reader_sees_its_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    (tmp_path / "other").write_text("x")
    given: dict[str, Any] = {"reads": (str(tmp_path / "mine"),)}
    assert confined(opening(tmp_path / "mine", "r"), **given).stdout.split() == ["opened", "True"]
    for path in (tmp_path / "other", "/etc/passwd"):
        assert confined(opening(path, "r"), **given).stdout.split() == ["denied", "False"]


@needs_landlock
def test_a_reader_sees_no_other_process() -> None:
    assert confined(opening("/proc/self/status", "r")).stdout.split() == ["opened", "True"]
    for path in (f"/proc/{os.getpid()}/environ", "/proc/1/cmdline"):
        assert confined(opening(path, "r")).stdout.split() == ["denied", "False"]


@pytest.mark.parametrize(
    "call", ["fork()", "vfork()", "socket(2, 1, 0)", "ptrace(0, 0, 0, 0)", "execl(b'/bin/true', 0)"]
)
def test_the_kernel_refuses_libraries_too(call: str) -> None:
    code = (
        f"import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nprint(c.{call}, ctypes.get_errno())"
    )
    refused = {"-1 1", "-1 13"} if call.startswith("execl") else {"-1 1"}
    assert confined(code).stdout.strip() in refused


def test_a_reader_may_have_threads() -> None:
    code = (
        "import threading\nt = threading.Thread(target=print, args=('ran',))\nt.start()\nt.join()"
    )
    assert confined(code).stdout.strip() == "ran"


@needs_landlock
def test_a_reader_writes_only_in_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    given: dict[str, Any] = {"writes": (str(tmp_path / "own"),)}
    allowed = confined(opening(tmp_path / "own" / "a", "w"), **given)
    assert allowed.stdout.split() == ["opened", "True"]
    refused = confined(opening(tmp_path / "b", "w"), **given)
    assert refused.stdout.split() == ["denied", "False"]
    assert not (tmp_path / "b").exists()


@needs_landlock
def test_no_library_can_start_a_program_either() -> None:
    code = "import ctypes; print(ctypes.CDLL(None).execl(b'/bin/true', b'true', None))"
    assert confined(code).stdout.strip() == "-1"


def test_a_reader_writes_no_file_without_end(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"with open({str(tmp_path / 'a')!r}, 'wb') as file:\n"
        "    for _ in range(100): file.write(bytes(2**20))\n"
    )
    assert "File too large" in confined(code, writes=(str(tmp_path),)).stderr
    assert (tmp_path / "a").stat().st_size == 64 * 2**20


async def test_a_reader_has_an_empty_environment(
    manuals: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "x")
    seen: list[dict[str, str]] = []

    def look(_done: int, _total: int | None) -> None:
        seen.extend(child.environ() for child in children() if not seen)

    await read(job_of(manuals["pdf"]), progress=look)
    assert "SECRET" not in seen[0]
    assert set(seen[0]) - {"LC_CTYPE"} == {*sandbox._ENVIRONMENT, "HOME", "TMPDIR", "PYTHONPATH"}


def pages(path: Path, count: int) -> Path:
    """A PDF of so many empty pages, written by hand."""
    parts = [
        b"%PDF-1.4\n",
        b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
        b"2 0 obj<</Type/Pages/Count %d/Kids[" % count,
        b" ".join(b"%d 0 R" % (3 + n) for n in range(count)),
        b"]/MediaBox[0 0 99 99]>>endobj\n",
        *(b"%d 0 obj<</Type/Page/Parent 2 0 R>>endobj\n" % (3 + n) for n in range(count)),
        b"trailer<</Root 1 0 R/Size %d>>\n%%%%EOF\n" % (count + 3),
    ]
    path.write_bytes(b"".join(parts))
    return path


async def test_a_hundred_thousand_pages_end_at_the_limit(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="has 100000 pages, more than the 10000 allowed"):
        await read(job_of(pages(tmp_path / "a.pdf", 100_000)))


async def test_passages_without_end_end_at_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Code;Cause\n" + "E1;" + "low " * 100 + "\n" + "E2;low\n" * 300_000)
    with pytest.raises(Rejected, match="more than 1 MB of text came out of it"):
        await read(job_of(path), sandbox.Limits(output_mb=1, memory_mb=2000))


async def test_a_cell_of_megabytes_makes_passages_that_can_be_sent(tmp_path: Path) -> None:
    rows = [{"code": "E1", "cause": "low " * 750_000}, {"code": "E2", "cause": "x" * 3_000_000}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows))
    done, found = await read(job_of(path))
    assert done.passages == len(found) > 2
    assert max(map(frames.size, found)) < 128 * 1024
    assert [p.fields[0].value for p in found if p.kind == "row"] == ["E1", "E2"]


async def test_too_much_in_one_piece_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_FRAME", 200)
    path = tmp_path / "a.csv"
    path.write_text("Code;Cause\n" + "E1;low\n" * 100)
    with pytest.raises(Rejected, match="in one piece"):
        await read(job_of(path))


def bomb(path: Path, parts: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


ENTITIES = b"<!DOCTYPE a [<!ENTITY a0 'xxxxxxxxxx'>" + b"".join(
    b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("name", "parts", "reason"),
    [
        ("nested.zip", {f"{n}.zip": b"PK\x03\x04" * 100 for n in range(16)}, "a ZIP archive"),
        ("a.docx", {"word/document.xml": bytes(40 * 2**20)}, "unpacks to 40 MB"),
        ("a.xlsx", {"xl/workbook.xml": b"<a/>", "xl/x.xml": bytes(40 * 2**20)}, "unpacks to 40 MB"),
        ("a.odt", {"content.xml": ENTITIES + b"]><a>&a9;</a>"}, "entities of its own"),
        ("b.docx", {"word/document.xml": ENTITIES + b"]><a>&a9;</a>"}, "damaged"),
        ("a.epub", {"META-INF/container.xml": b"<a>" * 100_000}, "damaged"),
        ("b.odt", {"content.xml": b"<a>" * 1000 + b"</a>" * 1000}, "damaged"),
    ],
)
async def test_archives_made_to_do_harm(
    tmp_path: Path, name: str, parts: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(Rejected, match=reason):
        await read(job_of(bomb(tmp_path / name, parts)), sandbox.Limits(memory_mb=400))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"[" * 200_000),
        ("a.html", b"<!doctype html><html><body>" + b"<div>" * 100_000 + b"x"),
        ("a.rtf", b"{\\rtf1" + b"{" * 100_000),
        ("a.eml", b"From: a\nTo: b\nSubject: c\n" + b"Content-Type: multipart/mixed;"
         b" boundary=x\n\n--x\n" * 5_000 + b"x"),
        ("a.md", b"> " * 20_000 + b"x"),
    ],
)  # fmt: skip
async def test_nesting_without_end_is_read_or_has_a_reason(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    reason = ""
    try:
        await read(job_of(tmp_path / name), sandbox.Limits(memory_mb=400, seconds=60))
    except Rejected as error:
        reason = error.reason
    assert "crashed" not in reason
    assert "in a way its reader does not know" not in reason


async def test_a_scan_without_the_program_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = formats.scan(tmp_path / "a.pdf")
    done, found = await read(job_of(path))
    assert (done.pages, done.note) == (1, "")
    assert [p.kind for p in found] == ["text", "row", "row"]
    monkeypatch.setitem(sandbox._ENVIRONMENT, "ANDON_TESSERACT", "/nowhere")
    with pytest.raises(NeedsOcr, match="the text recognition program is missing"):
        await read(job_of(path))


async def test_recognition_stays_within_the_limit_on_memory(tmp_path: Path) -> None:
    path = formats.scan(tmp_path / "a.pdf")
    with pytest.raises(Rejected, match="more than 90 MB of memory"):
        await read(job_of(path), sandbox.Limits(memory_mb=90))
    assert children() == []


@pytest.mark.parametrize("name", list(formats.MAKERS))
async def test_each_office_format_in_a_process_of_its_own(tmp_path: Path, name: str) -> None:
    # Originals are kept under their hash: nothing may go by the ending of the file itself.
    original = formats.MAKERS[name](tmp_path / name).rename(tmp_path / "0f3a")
    done, found = await read(frames.Job(path=str(original), name=name, tokenizer=TOKENIZER))
    assert done.passages == len(found) >= 1


def test_a_reader_works_where_the_service_is_process_1(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Check the supply.")
    code = (
        "import asyncio,os\n"
        "from services.ingest import frames,readers,sandbox\n"
        "assert os.getpid() == 1\n"
        f"job=frames.Job(path={str(path)!r},name='a.txt',tokenizer={TOKENIZER!r})\n"
        "ignore=lambda *_:None\n"
        "async def read():\n"
        "    async with readers.Readers() as some:\n"
        "        return await sandbox.read(\n"
        "            some,job,sandbox.Limits(),progress=ignore,batch=ignore)\n"
        "print(asyncio.run(read()).passages)\n"
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
