"""A box: a Debian 12 booted with its own systemd, with no network but its loopback.

What it writes goes to a folder beside the tree (overlayfs), so the tree stays as it was, and a
reboot finds what was written before.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import pytest

BOOT_S = 60.0
_LOOK_S = 0.05
_TRIES = 40
_NUMBER = itertools.count()
_NSENTER = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LANDLOCK = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
"""System calls that a box's kernel has and the filter of systemd-nspawn 252 does not know."""
_GROUPS = ("memory", "systemd", "unified")
"""Hierarchies of control groups in which a box gets a place of its own, where there are such."""


class Box:
    """One machine. `boot` and `end` may be called again: what is on its disk stays."""

    def __init__(
        self, trees: Sequence[Path], folder: Path, *, shown: Mapping[Path, str] | None = None
    ) -> None:
        """Prepare.

        Args:
            trees: an installed system, the upmost layer first; not written to.
            folder: for its disk and its log; on a disk, not on overlayfs.
            shown: folders of this machine and where the box sees them, to be read only.
        """
        self.root = folder / "root"
        """Its files, for us."""
        self.log = folder / "console.log"
        self._lower = ":".join(map(str, trees))
        self.written, self._work = folder / "written", folder / "work"
        self._binds = dict(shown or {})
        self._name = f"andon-box-{os.getpid()}-{next(_NUMBER)}"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.leader = 0
        """Process id, here, of its process 1."""
        self.limits_memory = False
        """Whether its systemd has a memory controller, so that MemoryMax= is held."""

    def __enter__(self) -> Self:
        for path in (self.root, self.written, self._work):
            path.mkdir(parents=True, exist_ok=True)
        options = (
            f"lowerdir={self._lower},upperdir={self.written},workdir={self._work},redirect_dir=on"
        )
        done = _run("mount", "-t", "overlay", "andon-box", "-o", options, str(self.root))
        if done.returncode:
            pytest.skip(f"no overlay can be mounted here: {done.stderr.strip()}")
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()
        for path in (self.root, self.written, self._work):
            shutil.rmtree(path, ignore_errors=True)

    def release(self) -> None:
        """End it, and let go of its disk: what it wrote is in `written`."""
        self.cut()
        if not self.root.is_mount():
            return
        # The kernel takes a moment to let go of what the dead had open.
        for how in (*["--recursive"] * _TRIES, "--lazy"):
            if not _run("umount", how, str(self.root)).returncode:
                return
            time.sleep(_LOOK_S)

    def boot(self, *, writable: str = "") -> None:
        """Start it; return when all it starts by itself has started.

        Args:
            writable: the one folder of its disk that it can write; empty: all of it.
        """
        assert self._nspawn is None
        only = ("--read-only", f"--bind={self.root}{writable}:{writable}") if writable else ()
        shown = [f"--bind-ro={here}:{there}" for here, there in self._binds.items()]
        # Another name each time: what systemd-nspawn left in /run of the last may be in its way.
        name = f"{self._name}-{next(_NUMBER)}"
        with self.log.open("ab") as log:
            self._nspawn = subprocess.Popen(
                [
                    *("systemd-nspawn", "--boot", f"--directory={self.root}"),
                    *("--private-network", "--register=no", "--keep-unit", "--console=pipe"),
                    *(f"--machine={name}", f"--hostname={self._name}"),
                    *("--link-journal=no", *shown),
                    *(f"--system-call-filter={_LANDLOCK}", *only),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=self._own_groups,  # noqa: PLW1509  (we have one thread)
            )
        until = time.monotonic() + BOOT_S
        while not self.leader or not self._up():
            if self._nspawn.poll() is not None or time.monotonic() > until:
                said = self.log.read_text(errors="replace")[-2000:]
                self.cut()
                pytest.fail(f"the box does not boot: {said}")
            self.leader = self.leader or _first_process(self._nspawn.pid)
            time.sleep(_LOOK_S)
        self._let_limit_memory()
        if writable:  # systemd-nspawn has --read-only hold for what is mounted below as well
            self.run("mount", "-o", "remount,bind,rw", writable)

    def run(
        self, *command: str, check: bool = True, given: str | None = None, within_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it as root; its output as text."""
        done = subprocess.run(
            self.entering(*command),
            input=given,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
            env={"PATH": _PATH, "LANG": "C.UTF-8", "HOME": "/root", "SYSTEMD_PAGER": ""},
        )
        if check and done.returncode:
            pytest.fail(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def entering(self, *command: str) -> Sequence[str]:
        """The command of ours that runs one in it."""
        return ("nsenter", "--target", str(self.leader), *_NSENTER, "--", *command)

    def until(self, what: str, so: Callable[[], object], within_s: float = 90) -> None:
        """Wait until something is so; the test fails with the journal's last words if it is not."""
        end = time.monotonic() + within_s
        while not so():
            if time.monotonic() > end:
                said = self.run("journalctl", "--no-pager", "--lines=60", "--boot").stdout
                pytest.fail(f"not within {within_s:g} s: {what}\n{said}")
            time.sleep(0.25)

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def shut_down(self) -> None:
        """End it in order, as `poweroff` does."""
        assert self._nspawn is not None
        self.run("systemctl", "poweroff", check=False)
        self._nspawn.wait(BOOT_S)
        self.cut()

    def cut(self) -> None:
        """End it at once, whatever it is doing: all its processes are killed."""
        if self._nspawn is None:
            return
        if self.leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.leader, signal.SIGKILL)
        else:  # its children end with it
            self._nspawn.kill()
        self._nspawn.wait(BOOT_S)
        self._nspawn, self.leader = None, 0
        for place in self._places():
            for group, _, _ in os.walk(place, topdown=False):
                with contextlib.suppress(OSError):
                    Path(group).rmdir()

    def _up(self) -> bool:
        # The bus's socket is there long before systemd answers on it.
        done = self.run("systemctl", "is-system-running", check=False)
        return done.stdout.strip() in {"running", "degraded"}

    def _places(self) -> list[Path]:
        """Its control groups, below our own."""
        found = []
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            kind = controllers.removeprefix("name=") or "unified"
            hierarchy = Path("/sys/fs/cgroup") / kind
            if kind in _GROUPS and hierarchy.is_dir():
                found.append(hierarchy / path.lstrip("/") / self._name)
        return found

    def _own_groups(self) -> None:
        for place in self._places():
            place.mkdir(exist_ok=True)
            (place / "cgroup.procs").write_text("0")

    def _let_limit_memory(self) -> None:
        """Give its systemd the memory controller, where that is of the older kind.

        systemd-nspawn mounts the older kind's controllers to be read only.
        """
        older = "/sys/fs/cgroup/memory"
        if self.run("test", "-d", older, check=False).returncode == 0:
            self.run("mount", "-o", "remount,bind,rw", older)
            self.run("systemctl", "daemon-reexec")
            self.limits_memory = True
        else:
            has = self.run("cat", "/sys/fs/cgroup/cgroup.controllers", check=False).stdout
            self.limits_memory = "memory" in has.split()


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _first_process(nspawn: int) -> int:
    """Return the process that is number 1 in its own space, 0 while there is none."""
    with contextlib.suppress(OSError, IndexError):
        children = Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()
        for child in children:
            status = Path(f"/proc/{child}/status").read_text()
            # It passes through a process that only prepares it, and is no systemd at first.
            numbers = status.split("NSpid:")[1].split("\n")[0].split()
            if numbers[1:] and numbers[-1] == "1" and status.startswith("Name:\tsystemd\n"):
                return int(child)
    return 0
