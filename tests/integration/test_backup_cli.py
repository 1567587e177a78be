"""`andon backup` and `andon restore` as people and timers call them, on a data folder at rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.backup import finding
from tests.support.andon import ROOT
from tests.support.backups import content, kept, tree

pytestmark = pytest.mark.integration


class Box:
    """A data folder and its configuration."""

    def __init__(self, folder: Path) -> None:
        self.data = tree(folder / "data")
        self.to = folder / "to"
        self.config = folder / "config.yaml"
        self.config.write_text(
            f"data: {self.data}\nbackup: {{folder: '{self.to}', keep: 2, at: '04:15'}}\n"
            "broker:\n  username: andon\n  password: s3cret-word\n"
        )

    def cli(self, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.cli", *map(str, arguments)]
        return subprocess.run(
            [*command, "--config", str(self.config)],
            cwd=ROOT,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def json(self, *arguments: object) -> Any:
        done = self.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_the_configured_folder_and_number(box: Box) -> None:
    for _ in range(3):
        made = box.json("backup")
    assert [row["path"] for row in box.json("backup", "--list")][-1] == made["path"]
    assert len(box.json("backup", "--list")) == 2
    told = box.cli("backup")
    assert "Passwords and keys are not in it" in told.stdout
    assert "It is on the same disk as the data" in told.stdout
    last = json.loads((box.data / "backup.json").read_text())
    assert (last["failed"], Path(last["to"]).name[:6]) == ("", "000004")
    checked = box.cli("backup", "--check")
    assert (checked.returncode, checked.stdout.count("whole")) == (0, 2)
    found = finding.find(box.to, None)
    part = found.chunks.path(found.manifest.entries[0].chunks[0])
    part.write_bytes(b"!")
    checked = box.cli("backup", "--check")
    assert (checked.returncode, part.name in checked.stdout) == (1, True)
    assert box.cli("backup").returncode == 0
    assert box.cli("backup", "--check").returncode == 0


def test_a_restore_with_its_configuration(box: Box, tmp_path: Path) -> None:
    box.cli("backup")
    before = kept(box.data)
    before.pop("backup.json")
    second, etc = tmp_path / "second", tmp_path / "etc"
    told = box.cli("restore", box.to, "--to", second)
    assert "Its configuration was not brought back" in told.stdout
    assert content(second) == before
    told = box.cli("restore", box.to, "--to", second)
    assert (told.returncode, "is not empty" in told.stderr) == (1, True)
    done = box.json("restore", box.to, "--to", second, "--etc", etc, "--force")
    assert done["etc"] == str(etc)
    assert 'password: ""' in (etc / "config.yaml").read_text()
    assert box.cli("backup", "--with-secrets").returncode == 0
    box.json("restore", box.to, "--to", second, "--etc", etc, "--force")
    assert "s3cret-word" in (etc / "config.yaml").read_text()
    missing = box.cli("restore", tmp_path / "nowhere", "--to", second, "--force")
    assert (missing.returncode, "no backup in" in missing.stderr) == (1, True)


def test_without_a_folder_a_timer_is_quiet_and_a_person_is_told(box: Box) -> None:
    box.config.write_text(f"data: {box.data}\n")
    done = box.cli("backup")
    assert (done.returncode, "no folder is named" in done.stderr) == (1, True)
    done = box.cli("backup", INVOCATION_ID="0123")
    assert (done.returncode, "nothing is backed up" in done.stdout) == (0, True)


def test_units_of_the_configured_stick_and_time(box: Box, tmp_path: Path) -> None:
    folder = tmp_path / "units"
    folder.mkdir()
    assert box.cli("backup", "--units", folder).returncode == 0
    link = folder / r"dev-disk-by\x2dlabel-ANDONBACKUP.device.wants/andon-backup-stick.service"
    assert link.is_symlink()
    assert "04:15" in (folder / "andon-backup.timer.d" / "50-at.conf").read_text()
    box.config.write_text("backup: {stick_label: 'Werk 3'}\n")
    assert box.cli("backup", "--units", folder).returncode == 0
    assert not link.is_symlink()
    assert len(list(folder.glob("dev-disk-by*.wants/*"))) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backup: {at: '25:00'}", "a time of the day"),
        ("backup: {keep: 0}", "at least 1"),
        ("backup: {stick_label: a/b}", "the label of a file system"),
        ("sharing: {trusted_keys: [abc]}", "64 hexadecimal digits"),
    ],
)
def test_a_wrong_configuration_says_what_is_allowed(box: Box, text: str, said: str) -> None:
    box.config.write_text(f"{text}\n")
    done = box.cli("backup")
    assert (done.returncode, said in done.stderr) == (78, True), done.stderr
