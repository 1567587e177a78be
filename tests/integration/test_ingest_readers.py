"""The process that readers are forked from: it may end in any way, and leaves nothing."""

# ruff: noqa: ASYNC110  (a process tells no event)
from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from schemas.retrieval import Passage
from services.ingest import frames, sandbox, scratch, seccomp, zygote
from services.ingest.readers import Readers
from tests.support.ingest import TOKENIZER, Drawn, names_in

pytestmark = pytest.mark.integration

SOON_S = 60.0
LINES = "Check the supply of the drive, then reset it."


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drawn = Drawn(tmp_path_factory.mktemp("long") / "long.pdf")
    for page in range(150):
        for line in range(40):
            drawn.line(f"Page {page} line {line}: {LINES}")
        drawn.page()
    return drawn.save()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
async def readers() -> AsyncIterator[Readers]:
    async with Readers() as some:
        yield some
    assert own("andon-zygote") == own("andon-reader") == []


def own(name: str) -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.name() == name]


def text(folder: Path, name: str = "a.txt", content: str = LINES) -> Path:
    (folder / name).write_text(content)
    return folder / name


async def read(
    readers: Readers,
    path: Path,
    progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> list[Passage]:
    found: list[Passage] = []
    job = frames.Job(path=str(path), name=path.name, tokenizer=TOKENIZER)
    done = await sandbox.read(readers, job, sandbox.Limits(), progress=progress, batch=found.extend)
    assert done.passages == len(found) > 0
    return found


async def ended(process: psutil.Process) -> None:
    async with asyncio.timeout(SOON_S):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.02)


async def test_one_process_serves_all_documents(readers: Readers, tmp_path: Path) -> None:
    assert own("andon-zygote") == []
    await read(readers, text(tmp_path))
    (first,) = own("andon-zygote")
    await read(readers, text(tmp_path, "a.md", f"# Faults\n\n{LINES}\n"))
    assert await read(readers, text(tmp_path)) == await read(readers, text(tmp_path))
    assert own("andon-zygote") == [first]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_it_is_killed_while_a_document_is_read(
    readers: Readers,
    long: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    number: signal.Signals,
) -> None:
    whole = await read(readers, long)
    killed: list[psutil.Process] = []

    def kill(done: int, _total: int | None) -> None:
        if done == 20:
            killed.extend(own("andon-zygote"))
            killed[0].send_signal(number)

    assert await read(readers, long, kill) == whole
    assert len(killed) == 1
    await ended(killed[0])
    with caplog.at_level(logging.WARNING):
        await read(readers, text(tmp_path))
    assert f"was ended by signal {number.value}; another is started" in caplog.text
    assert own("andon-zygote") != killed


async def test_it_ends_when_nothing_is_to_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Readers(idle_s=0.05) as readers:
        for _ in range(3):
            await read(readers, text(tmp_path))
            for process in own("andon-zygote"):
                await ended(process)
    assert own("andon-zygote") == []
    assert caplog.text == ""  # that is no trouble


def test_all_end_with_the_service_and_what_they_leave_is_cleared_away(
    long: Path, temporary: Path
) -> None:
    code = (
        "import asyncio,sys,psutil\n"
        "from services.ingest import frames,readers,sandbox\n"
        f"job=frames.Job(path={str(long)!r},name='a.pdf',tokenizer={TOKENIZER!r})\n"
        "def at_work(done,_total):\n"
        "    if done==3:\n"
        "        print(*[c.pid for c in psutil.Process().children()],flush=True)\n"
        "async def read():\n"
        "    async with readers.Readers() as some:\n"
        "        await sandbox.read(\n"
        "            some,job,sandbox.Limits(),progress=at_work,batch=lambda _: None)\n"
        "asyncio.run(read())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as service:
        assert service.stdout
        children = [psutil.Process(int(pid)) for pid in service.stdout.readline().split()]
        assert sorted(child.name() for child in children) == ["andon-reader", "andon-zygote"]
        service.kill()
    _, alive = psutil.wait_procs(children, timeout=SOON_S)
    assert not alive
    assert len(names_in(temporary)) == 1
    assert scratch.clear() == 1
    assert names_in(temporary) == []


async def test_only_what_a_reader_left_is_cleared_away(
    readers: Readers, long: Path, tmp_path: Path, temporary: Path
) -> None:
    (temporary / "andon-reading-left").mkdir()
    (temporary / "andon-reading-file").write_text("no folder")
    (tmp_path / "kept").mkdir()
    (temporary / "andon-reading-link").symlink_to(tmp_path / "kept")
    cleared: list[int] = []

    def clear(done: int, _total: int | None) -> None:
        if done in {3, 4}:
            cleared.append(scratch.clear())

    await read(readers, long, clear)  # what is in use stays, and is read to its end
    assert cleared == [1, 0]
    assert names_in(temporary) == ["andon-reading-file", "andon-reading-link"]
    assert (tmp_path / "kept").is_dir()


def test_a_folder_that_is_cleared_away_before_it_is_locked_is_made_again(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make(prefix: str) -> str:
        path = mkdtemp(prefix=prefix)
        made.append(path)
        if len(made) == 1:
            assert scratch.clear() == 1
        return path

    mkdtemp = tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", make)
    with scratch.folder() as folder:
        assert made[1:] == [str(folder)]
        assert scratch.clear() == 0
        assert folder.is_dir()
    assert names_in(temporary) == []


def facts_of(process: psutil.Process) -> dict[str, str]:
    """What the kernel says of a process."""
    folder = Path(f"/proc/{process.pid}")
    lines = (folder / "status").read_text().splitlines()
    seen = {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}
    for line in (folder / "limits").read_text().splitlines():
        seen[line[:26].strip()] = line[26:47].strip()
    for file in (folder / "fd").iterdir():
        seen[f"fd {file.name}"] = str(file.readlink())
    seen |= {name: (folder / name).read_text() for name in ("cgroup", "oom_score_adj")}
    return seen | {
        "network": str((folder / "ns" / "net").readlink()),
        "nice": str(process.nice()),
        "folder": str(Path(process.cwd()).parent),
    }


async def test_a_fork_has_the_limits_of_a_reader(readers: Readers, long: Path) -> None:
    found: list[dict[str, str]] = []

    def look(done: int, _total: int | None) -> None:
        if done == 20:
            found.extend(map(facts_of, own("andon-reader")))

    await read(readers, long, look)
    (seen,) = found
    limits = sandbox.Limits()
    expected = {
        "Threads": "1",
        "NoNewPrivs": "1",
        "PPid": str(os.getpid()),
        "nice": "10",
        "folder": tempfile.gettempdir(),
        "Max data size": str(limits.memory_mb * 2**20),
        "Max address space": str((limits.memory_mb + 512) * 2**20),
        "Max cpu time": str(round(limits.seconds)),
        "Max open files": "64",
        "Max file size": str(64 * 2**20),
        "Max core file size": "0",
    }
    if os.uname().machine in seccomp._KNOWN:
        expected["Seccomp"] = "2"
    assert {name: seen[name] for name in expected} == expected
    files = [target for name, target in seen.items() if name.startswith("fd ")]
    kinds = sorted(Path(target).name.split(":")[0] for target in files)
    assert kinds == ["long.pdf", "null", "pipe", "stderr", "stderr"]
    (parent,) = map(facts_of, own("andon-zygote"))
    assert (seen["cgroup"], seen["oom_score_adj"]) == (parent["cgroup"], parent["oom_score_adj"])
    if os.geteuid() == 0:
        assert seen["network"] != parent["network"]


async def test_nothing_is_left_open(readers: Readers, tmp_path: Path, temporary: Path) -> None:
    await read(readers, text(tmp_path))
    before = psutil.Process().num_fds()
    (process,) = own("andon-zygote")
    theirs = process.num_fds()
    for _ in range(5):
        await read(readers, text(tmp_path))
    assert psutil.Process().num_fds() == before
    assert process.num_fds() == theirs
    assert names_in(temporary) == []


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.02, 0.2])
async def test_one_cancelled_while_it_is_started_leaves_nothing(
    readers: Readers, tmp_path: Path, temporary: Path, delay_s: float
) -> None:
    path = text(tmp_path, "a.md", f"# Faults\n\n{LINES}\n")
    for _ in range(2):
        task = asyncio.create_task(read(readers, path))
        await asyncio.sleep(delay_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert own("andon-reader") == []
        assert names_in(temporary) == []
    assert len(await read(readers, path)) == 1


@pytest.mark.parametrize("delay_s", [0.0, 0.001, 0.02, 0.2])
async def test_one_cancelled_twice_while_it_is_started_leaves_nothing_to_the_next(
    readers: Readers, tmp_path: Path, temporary: Path, delay_s: float
) -> None:
    path = text(tmp_path, "a.md", f"# Faults\n\n{LINES}\n")
    for _ in range(3):
        task = asyncio.create_task(read(readers, path))
        await asyncio.sleep(delay_s)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(task, return_exceptions=True)
    assert len(await read(readers, path)) == 1
    async with asyncio.timeout(SOON_S):
        while own("andon-reader"):
            await asyncio.sleep(0.02)
    assert names_in(temporary) == []


async def test_an_order_that_is_given_up_is_never_answered(
    readers: Readers, tmp_path: Path
) -> None:
    path = text(tmp_path)
    await read(readers, path)
    (first,) = own("andon-zygote")
    first.suspend()  # the order stays in its socket
    task = asyncio.create_task(read(readers, path))
    (starting,) = await appeared("start reader")
    await asyncio.sleep(0.1)
    starting.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    await ended(first)
    assert len(await read(readers, path)) == 1


async def appeared(name: str) -> list[asyncio.Task[object]]:
    while not (found := [task for task in asyncio.all_tasks() if task.get_name() == name]):
        await asyncio.sleep(0)
    return found


async def test_what_a_reader_wrote_that_was_not_told_of_is_not_the_nexts(
    readers: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Readers._ask
    orders: list[zygote.Order] = []

    async def died_over_the_first(
        self: Readers, order: zygote.Order, files: list[int]
    ) -> zygote.Answer | None:
        orders.append(order)
        if len(orders) == 1:
            os.write(files[0], b"half of what another reader says")
            return None
        return await ask(self, order, files)

    monkeypatch.setattr(Readers, "_ask", died_over_the_first)
    assert len(await read(readers, text(tmp_path))) == 1
    assert len(orders) == 2


@pytest.mark.parametrize(
    ("library", "told"),
    [
        ("import threading\nthreading.Thread(target=threading.Event().wait).start()", "code 1"),
        ("import os\nif 'reader' not in open('/proc/self/comm').read(): os.abort()", "signal 6"),
        ("raise ValueError('broken')", ""),
    ],
)  # fmt: skip
async def test_a_library_that_does_harm_when_it_is_loaded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    library: str,
    told: str,
) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "xlrd.py").write_text(library)
    monkeypatch.syspath_prepend(str(tmp_path / "library"))
    # Old programs export tables under this name: it lets the library be loaded in vain.
    path = text(tmp_path, "a.xls", "Code;Cause\nE1;low\nE2;high\n")
    async with Readers() as readers:
        assert len(await read(readers, path)) > 0
    assert (told in caplog.text) if told else (caplog.text == "")


FORKS = """
import os, random, subprocess, sys
code = '''
import ctypes, os, random, signal, threading
from services.ingest import zygote
zygote.load("text", "")
random.seed(7)
def work():
    libc = ctypes.CDLL(None)
    libc.pthread_self.restype = ctypes.c_ulong
    known = libc.pthread_kill(ctypes.c_ulong(libc.pthread_self()), 0) == 0
    tasks = len(os.listdir("/proc/self/task"))
    os.write(1, f"{os.getppid()} {random.random()} {tasks} {known}\\\\n".encode())
    t = threading.Thread(target=print); t.start(); t.join()
    os.abort()
print(*[zygote.fork(work) for _ in range(2)], flush=True)
'''
done = subprocess.run([sys.executable, "-c", code], stdout=-1, text=True, check=True)
lines = [line.split() for line in done.stdout.splitlines()]
pids = [int(pid) for line in lines if len(line) == 2 for pid in line]
print(os.getpid())
print(*[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
print(done.stdout)
"""


def test_a_fork_is_the_services_own_child_and_whole() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=SOON_S, check=True
    )
    parent, codes, *lines = done.stdout.splitlines()
    assert codes == "-6 -6", done.stderr
    told = [line.split() for line in lines if line.count(" ") == 3]
    assert [line[0] for line in told] == [parent, parent]
    assert told[0][1] != told[1][1]  # each has chance of its own
    assert [line[2:] for line in told] == [["1", "True"]] * 2


@pytest.mark.parametrize("kind", list(zygote._BY_KIND))
def test_what_a_kind_needs_starts_no_threads(kind: str) -> None:
    code = (
        "import sys,os\nfrom services.ingest import zygote\n"
        f"zygote.load({kind!r}, {TOKENIZER!r})\n"
        f"print([m for m in zygote._BY_KIND[{kind!r}] if m not in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=SOON_S,
        check=True,
        env={**sandbox._ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
