"""From the bundle, on a Debian 12 that has nothing else, without a network."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import bundles, debian
from tests.support.box import Box
from tests.support.sample import sample_manual

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]

_FOLDERS = ("/opt/andon", "/etc/andon", "/var/lib/andon")


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A Debian with the unpacked bundle in /root/bundles, and two other versions of it."""
    folder = tmp_path_factory.mktemp("bundles")
    bundle = bundles.unpacked(folder)
    bundles.another(bundle, "9.0.0")
    bundles.another(bundle, "9.1.0", broken=True)
    bundle.rename(folder / "andon-first")
    with Box([debian.tree()], tmp_path_factory.mktemp("box"), shown={folder: "/bundles"}) as one:
        one.boot()
        yield one


def install(box: Box, bundle: str, *options: str) -> subprocess.CompletedProcess[str]:
    return box.run(f"/bundles/andon-{bundle}/install.sh", *options, check=False, within_s=600)


def running(box: Box) -> str:
    return box.run("readlink", "/opt/andon/current").stdout.strip()


def ready(box: Box) -> bool:
    return box.run("andon", "status", check=False).returncode == 0


def test_it_names_what_is_missing_and_touches_nothing(box: Box) -> None:
    box.run("mv", "/etc/os-release", "/etc/os-release.kept")
    box.run("sh", "-c", 'sed \'s/"12"/"13"/\' /usr/lib/os-release >/etc/os-release')
    done = install(box, "first")
    box.run("mv", "/etc/os-release.kept", "/etc/os-release")
    assert done.returncode == 1
    assert "the bundle is for Debian 12" in done.stderr
    assert all(box.run("test", "-e", f, check=False).returncode for f in _FOLDERS)


def test_it_installs(box: Box) -> None:
    done = install(box, "first")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ready(box)


def test_again_it_changes_nothing(box: Box) -> None:
    done = install(box, "first")
    assert done.returncode == 0, done.stderr
    assert "Nothing had to be changed." in done.stdout


def test_a_manual_answers(box: Box, tmp_path: Path) -> None:
    manual = sample_manual(tmp_path, "docx")
    (box.root / "var/lib/andon/inbox" / manual.name).write_bytes(manual.read_bytes())

    def answers() -> bool:
        said = box.run("andon", "documents", "--json", check=False).stdout
        return '"ready"' in said

    box.until("the manual is read", answers)
    assert "[1]" in box.run("andon", "ask", "E005").stdout


def test_another_version_is_no_installation(box: Box) -> None:
    done = install(box, "9.0.0")
    assert done.returncode == 1
    assert "--upgrade" in done.stderr


def test_an_upgrade_keeps_data_and_changed_configuration(box: Box) -> None:
    first = running(box)
    config = box.root / "etc/andon/config.yaml"
    config.write_text(config.read_text() + "log: debug\n")
    done = install(box, "9.0.0", "--upgrade")
    assert done.returncode == 0, done.stdout + done.stderr
    assert running(box) == "9.0.0"
    assert config.read_text().endswith("log: debug\n")
    assert "[1]" in box.run("andon", "ask", "E005").stdout
    back = box.run("/opt/andon/current/install.sh", "--rollback", within_s=300)
    assert running(box) == first, back.stdout
    assert ready(box)


def test_an_upgrade_that_was_cut_off_is_ended_at_the_next_boot(box: Box) -> None:
    before = running(box)
    underway = box.root / "opt/andon/.upgrade"
    command = box.entering("/bundles/andon-9.0.0/install.sh", "--upgrade")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as upgrade:
        box.until("under way", lambda: underway.exists() and "flipped" in underway.read_text())
        assert upgrade.poll() is None
        box.cut()
    box.boot()
    box.until("settled", lambda: not underway.exists(), within_s=400)
    assert running(box) in {before, "9.0.0"}
    box.until("ready", lambda: ready(box))
    assert "[1]" in box.run("andon", "ask", "E005").stdout
    said = box.run("journalctl", "--unit=andon-settle", "--no-pager", "--output=cat").stdout
    assert f"The way from {before} to 9.0.0 was cut off" in said
    assert box.shown("andon-settle", "Result") == "success"
    if running(box) == "9.0.0":
        box.run("/opt/andon/current/install.sh", "--rollback", within_s=300)


def test_a_version_that_does_not_start_is_returned_from(box: Box) -> None:
    before = running(box)
    done = install(box, "9.1.0", "--upgrade")
    assert done.returncode == 1
    assert "this version is broken" in done.stderr
    assert running(box) == before
    assert ready(box)
    assert "[1]" in box.run("andon", "ask", "E005").stdout
    assert box.run("test", "-e", "/opt/andon/9.1.0", check=False).returncode


def test_data_of_a_newer_andon_is_refused(box: Box) -> None:
    box.run("systemctl", "stop", "andon-orchestrator")
    script = "import sqlite3,sys;d=sqlite3.connect(sys.argv[1]);d.execute(sys.argv[2])"
    ledger = "/var/lib/andon/ledger.db"
    known = int(
        box.run(
            "python3",
            "-c",
            f"{script};print(d.execute('PRAGMA user_version').fetchone()[0])",
            ledger,
            "SELECT 1",
        ).stdout
    )
    box.run(
        "runuser", "-u", "andon", "--", "python3", "-c", script, ledger, "PRAGMA user_version=99"
    )
    done = install(box, "first")
    command = f"PRAGMA user_version={known}"
    box.run("runuser", "-u", "andon", "--", "python3", "-c", script, ledger, command)
    assert done.returncode == 1
    assert "ledger.db was written by a newer Andon" in done.stderr
    assert install(box, "first").returncode == 0


def test_a_damaged_bundle_is_refused(box: Box, tmp_path: Path) -> None:
    box.run("sh", "-c", "cp -r /bundles/andon-first /root/damaged; echo >>/root/damaged/README.md")
    done = box.run("/root/damaged/install.sh", check=False)
    assert done.returncode == 1
    assert "README.md" in done.stderr


def test_removed_it_leaves_its_data_and_purged_nothing(box: Box) -> None:
    box.run("/opt/andon/current/install.sh", "--uninstall", within_s=120)
    there = [box.run("test", "-e", f, check=False).returncode == 0 for f in _FOLDERS]
    assert there == [False, True, True]
    assert install(box, "first").returncode == 0
    documents = json.loads(box.run("andon", "documents", "--json").stdout)
    assert documents
    box.run("/opt/andon/current/install.sh", "--purge", within_s=120)
    assert all(box.run("test", "-e", f, check=False).returncode for f in _FOLDERS)
    assert box.run("getent", "passwd", "andon", check=False).returncode
    assert not box.run("systemctl", "list-units", "--all", "--no-legend", "andon*").stdout.strip()
