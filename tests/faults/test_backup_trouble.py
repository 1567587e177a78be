"""Backups and restores that are killed, run out of disk, or lose their stick in the middle."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.backup import finding
from services.backup.vault import Vault
from services.runtime.config import Config
from tests.support.andon import ROOT
from tests.support.backups import back_up, content, enter, kept, nothing, tree

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("mount"), reason="only root may mount a small disk"
)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "services.cli", *map(str, arguments)]


def andon(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


def killed(wait_s: float, *arguments: object) -> int:
    """Run a command and kill it after a while; return its exit code."""
    process = subprocess.Popen(
        command(*arguments), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        return process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextlib.contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False
    )
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False, capture_output=True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tree(tmp_path / "data", originals=30, size=1_000_000)


@pytest.fixture
def config(tmp_path: Path, data: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(f"data: {data}\nlog: debug\n")
    return path


def backups(to: Path) -> list[Path]:
    return [one.path for vault in Vault.all_in(to) for one in vault.backups()]


def leftovers(to: Path) -> list[str]:
    return [p.name for p in to.rglob("*") if p.name.startswith(".new-") or p.name == "in-work"]


def test_a_backup_that_is_killed_is_none_and_is_cleared_away(
    data: Path, config: Path, tmp_path: Path
) -> None:
    to = tmp_path / "to"
    began = time.monotonic()
    assert andon("backup", tmp_path / "whole", "--config", config).returncode == 0
    took = time.monotonic() - began
    made = random.Random(7)
    cut_off = 0
    for _ in range(12):
        enter(data, f"{made.random()}.pdf", made.randbytes(700_000))
        before = backups(to)
        # None goes because there are enough.
        command = ("backup", to, "--config", config, "--keep", "99")
        code = killed(took * made.uniform(0.3, 1.0), *command)
        cut_off += code == -signal.SIGKILL
        assert code in {0, -signal.SIGKILL}
        for path in {*before, *backups(to)}:  # those there are, are whole
            finding.whole(finding.find(path, None), nothing)
    assert cut_off
    done = andon("backup", to, "--config", config, "--keep", "1")
    assert done.returncode == 0, done.stderr
    assert leftovers(to) == []
    assert not list(data.glob(".backup-*"))
    [path] = backups(to)
    found = finding.find(path, None)
    needed = {name for entry in found.manifest.entries for name in entry.chunks}
    assert {p.name for p in (path.parent / "parts").rglob("*") if p.is_file()} == needed
    assert andon("restore", to, "--to", tmp_path / "second", "--config", config).returncode == 0
    assert content(tmp_path / "second") == {
        name: what for name, what in kept(data).items() if name != "backup.json"
    }


def test_a_restore_that_is_killed_loses_nothing(data: Path, config: Path, tmp_path: Path) -> None:
    to, second = tmp_path / "to", tmp_path / "second"
    back_up(data, to)
    began = time.monotonic()
    done = andon("restore", to, "--to", tmp_path / "probe", "--config", config)
    assert done.returncode == 0, done.stderr
    took = time.monotonic() - began
    old = content(tree(second, originals=2, seed=3))
    stays = {name: what for name, what in old.items() if name.startswith("models/")}
    new = {**kept(data), **stays}
    made = random.Random(11)
    arguments = ("restore", to, "--to", second, "--force", "--config", config)
    cut_off = 0
    for _ in range(8):
        code = killed(took * made.uniform(0.4, 1.0), *arguments)
        cut_off += code == -signal.SIGKILL
        if not (second / ".restoring" / "complete").exists():
            there = {n: w for n, w in content(second).items() if not n.startswith(".restoring")}
            assert there in (old, new)
    assert cut_off
    done = andon(*arguments)
    assert done.returncode == 0, done.stderr
    assert content(second) == new
    aside = sorted(second.glob("before-restore-*"))
    assert {**content(aside[0], aside=True), **stays} == old


@root
def test_a_full_disk_takes_nothing_from_former_backups(
    data: Path, config: Path, tmp_path: Path
) -> None:
    with disk(tmp_path / "stick", "45m") as to:
        assert andon("backup", to, "--config", config).returncode == 0
        [first] = backups(to)
        for number in range(20):
            enter(data, f"more-{number}.pdf", os.urandom(1_000_000))
        done = andon("backup", to, "--config", config)
        assert done.returncode == 1
        assert f"{to} is full" in done.stderr
        assert "former ones stay" in done.stderr
        assert backups(to) == [first]
        finding.whole(finding.find(first, None), nothing)
        done = andon("backup", to, "--config", config, "--json")
        assert '"kind": "retryable"' in done.stdout
        assert '"failed":"2' in (data / "backup.json").read_text()


@root
def test_on_a_full_disk_the_oldest_backups_go_for_the_new_one(
    data: Path, config: Path, tmp_path: Path
) -> None:
    with disk(tmp_path / "stick", "60m") as to:
        for round_ in range(4):  # each time ten megabytes of them are others
            for path in sorted((data / "originals").iterdir())[:12]:
                path.unlink()
            for number in range(12):
                enter(data, f"r{round_}-{number}.pdf", os.urandom(1_000_000))
            done = andon("backup", to, "--config", config)
            assert done.returncode == 0, done.stderr
        there = backups(to)
        assert 1 <= len(there) < 4
        assert there[-1].name.startswith("000004")
        for path in there:
            finding.whole(finding.find(path, None), nothing)


@root
def test_a_full_data_folder_says_so(tmp_path: Path) -> None:
    with disk(tmp_path / "box", "8m") as box:
        data = tree(box / "data", originals=1)
        with closing(sqlite3.connect(data / "ledger.db")) as db, db:
            db.execute("UPDATE rejected SET head = ? WHERE id = 1", ("x" * 2_000_000,))
        with (box / "filler").open("wb", buffering=0) as filler:
            with contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * 65_536)
            filler.truncate(filler.tell() - 500_000)
        config = tmp_path / "config.yaml"
        config.write_text(f"data: {data}\n")
        done = andon("backup", tmp_path / "to", "--config", config)
        assert done.returncode == 1
        assert "make room in the data folder" in done.stderr
        assert backups(tmp_path / "to") == []


@root
def test_a_stick_that_is_pulled_out_leaves_the_boxs_own_disk_alone(
    data: Path, config: Path, tmp_path: Path
) -> None:
    with disk(tmp_path / "stick", "200m") as to:
        (to / "on the stick").touch()
        process = subprocess.Popen(
            command("backup", to, "--config", config),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not list(to.glob("*/parts/*/*")):
            assert process.poll() is None
            time.sleep(0.001)
        subprocess.run(["umount", "--lazy", to], check=True)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "went away or fails" in said
    assert list((tmp_path / "stick").iterdir()) == []


@root
@pytest.mark.parametrize(
    "make", [("mkfs.ext4", "-q", "-L"), ("mkfs.vfat", "-n"), ("mkfs.exfat", "-L")]
)
def test_a_stick_of_each_kind(
    data: Path, config: Path, tmp_path: Path, make: tuple[str, ...]
) -> None:
    program = shutil.which(make[0], path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        pytest.skip(f"{make[0]} is not installed")
    stick, to, key = tmp_path / "stick.img", tmp_path / "stick", tmp_path / "key"
    to.mkdir()
    key.write_text("correct horse battery staple\n")
    with stick.open("wb") as image:
        image.truncate(80 * 2**20)
    subprocess.run([program, *make[1:], Config().backup.stick_label, stick], check=True)
    mount = ["mount", "-o", "loop,nosuid,nodev,noexec,noatime", stick, to]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip(f"this kernel mounts nothing that {make[0]} makes")
    options = ("--key-file", key, "--config", config)
    try:
        for _ in range(2):
            done = andon("backup", to, *options)
            assert done.returncode == 0, done.stderr
    finally:
        subprocess.run(["umount", to], check=True)
    assert list(to.iterdir()) == []
    subprocess.run(mount, check=True)
    try:
        assert andon("backup", to, "--check", *options).stdout.count("whole") == 2
        done = andon("restore", to, "--to", tmp_path / "second", *options)
        assert done.returncode == 0, done.stderr
    finally:
        subprocess.run(["umount", to], check=True)
    (data / "backup.json").unlink()  # how the last one went is no part of it
    assert content(tmp_path / "second") == kept(data, secrets=True)


@root
def test_a_restore_onto_a_full_disk_changes_nothing(
    data: Path, config: Path, tmp_path: Path
) -> None:
    back_up(data, tmp_path / "to")
    with disk(tmp_path / "box", "20m") as box:
        second = tree(box / "data", originals=2, seed=3)
        before = content(second)
        arguments = ("restore", tmp_path / "to", "--to", second, "--force", "--config", config)
        done = andon(*arguments)
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert content(second) == before


def test_told_to_stop_it_leaves_nothing_behind(data: Path, config: Path, tmp_path: Path) -> None:
    to = tmp_path / "to"
    process = subprocess.Popen(
        command("backup", to, "--config", config), cwd=ROOT, stderr=subprocess.DEVNULL
    )
    while not list(to.glob("*/parts/*/*")):
        assert process.poll() is None
        time.sleep(0.001)
    process.terminate()
    assert process.wait(60) == 130
    assert not list(data.glob(".backup-*"))
    assert backups(to) == []
