"""The installer's shell: what shellcheck finds, and the parts that need no box."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "deploy" / "setup"
SCRIPTS = [ROOT / "deploy" / "install.sh", *sorted(SETUP.glob("*.sh"))]


def bash(script: str, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f". {SETUP}/common.sh\n{script}"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_shellcheck_finds_nothing() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is missing: apt-get install shellcheck")
    command = ["shellcheck", "--external-sources", "--severity=warning", "--shell=bash"]
    done = subprocess.run(
        [*command, *map(str, SCRIPTS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture
def owned(tmp_path: Path) -> str:
    """Paths of a test's own in place of the box's."""
    (tmp_path / "new").write_text("new\n")
    own = f"NOTED={tmp_path}/noted TOUCHED={tmp_path}/touched OWNER=$(id -un):$(id -gn); "
    return f"{own}cd {tmp_path}; "


PUT = "put_configuration 640 $OWNER new config.yaml; "


def test_a_missing_file_is_written(owned: str, tmp_path: Path) -> None:
    bash(owned + PUT)
    assert (tmp_path / "config.yaml").read_text() == "new\n"
    assert (tmp_path / "config.yaml").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "touched").exists()


def test_the_same_file_changes_nothing(owned: str, tmp_path: Path) -> None:
    bash(owned + PUT)
    (tmp_path / "touched").unlink()
    bash(owned + PUT)
    assert not (tmp_path / "touched").exists()


def test_a_file_that_nobody_changed_is_replaced(owned: str, tmp_path: Path) -> None:
    bash(owned + PUT + "echo newer >new; " + PUT)
    assert (tmp_path / "config.yaml").read_text() == "newer\n"


def test_a_file_that_a_person_changed_stays(owned: str, tmp_path: Path) -> None:
    said = bash(owned + PUT + "echo mine >config.yaml; echo newer >new; " + PUT)
    assert (tmp_path / "config.yaml").read_text() == "mine\n"
    assert (tmp_path / "config.yaml.new").read_text() == "newer\n"
    assert "config.yaml.new" in said
    assert bash(owned + PUT) == ""


def test_a_file_that_was_there_before_andon_stays(owned: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine\n")
    bash(owned + PUT)
    assert (tmp_path / "config.yaml").read_text() == "mine\n"


def test_an_attempt_stops_at_the_first_step_that_fails(owned: str) -> None:
    said = bash("steps() { echo one; false; echo two; }; attempt steps; echo $OUTCOME")
    assert said.split() == ["one", "1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user's folders before it")
def test_what_an_upgrade_keeps_goes_nowhere_else(tmp_path: Path) -> None:
    """A link there would have the installer delete what it leads to."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("mine")
    (tmp_path / "before").symlink_to("elsewhere")
    kept = f". {SETUP}/upgrade.sh; . {SETUP}/tree.sh; KEPT={tmp_path}/before OPT={tmp_path}/opt; "
    bash(kept + "remove_others")
    assert (tmp_path / "elsewhere" / "mine").read_text() == "mine"
    (tmp_path / "before" / "0.1.0").mkdir()
    bash(kept + "own_kept")
    assert (tmp_path / "before" / "0.1.0").is_dir()
    os.chown(tmp_path / "before", 12_345, 12_345)
    bash(kept + "own_kept")
    assert not list((tmp_path / "before").iterdir())
    assert (tmp_path / "before").stat().st_mode & 0o777 == 0o700


def test_the_units_are_all_known_to_the_installer(tmp_path: Path) -> None:
    """It takes away by their names those that a version does not have."""
    units = [path for path in (ROOT / "deploy" / "systemd").iterdir() if path.suffix != ".conf"]
    owned = [path.name for path in units if path.suffix not in {".sysusers", ".tmpfiles"}]
    script = f". {SETUP}/files.sh; UNITS={tmp_path} OPT={tmp_path}/opt; touched() {{ :; }}; "
    away = "systemctl() { :; }; put() { cp $3 $4; }; fingerprint() { :; }; put_units 1"
    version = tmp_path / "opt" / "1"
    (version / "deploy").mkdir(parents=True)
    (version / "bin").mkdir()
    (version / "bin" / "andon").symlink_to("/bin/true")
    (version / "deploy" / "systemd").symlink_to(ROOT / "deploy" / "systemd")
    bash(script + away)
    assert {path.name for path in tmp_path.iterdir()} == {*owned, "opt"}
    (version / "deploy" / "systemd").unlink()
    (version / "deploy" / "systemd").mkdir()
    bash(script + away)
    assert [path.name for path in tmp_path.iterdir()] == ["opt"]


def test_a_link_points_to_the_last(owned: str, tmp_path: Path) -> None:
    bash(owned + "point link one; point link two")
    assert (tmp_path / "link").readlink() == Path("two")


def test_every_unit_is_installed_and_removed(tmp_path: Path) -> None:
    units, etc = tmp_path / "units", tmp_path / "etc"
    version = tmp_path / "opt" / "1"
    (version / "bin").mkdir(parents=True)
    (version / "bin" / "andon").symlink_to("/bin/true")
    (version / "deploy").symlink_to(ROOT / "deploy")
    units.mkdir()
    gone = units / "andon-former.service"
    gone.write_text("[Service]\n")
    bash(
        f". {SETUP}/files.sh\nOPT={tmp_path}/opt UNITS={units} ETC={etc} TOUCHED={tmp_path}/t\n"
        'put() { cp "$3" "$4"; }\nsystemctl() { :; }\nput_units 1'
    )
    kinds = {".service", ".target", ".path", ".timer", ".socket", ".mount"}
    ours = {path.name for path in (ROOT / "deploy/systemd").iterdir() if path.suffix in kinds}
    assert {path.name for path in units.iterdir()} == ours
