"""The installer's way back from an upgrade, without a box: no way out of it leaves one down."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(os.geteuid() != 0, reason="the installer is root's"),
]

SETUP = Path(__file__).resolve().parents[2] / "deploy" / "setup"
_PARTS = ("common", "checks", "tree", "files", "units", "upgrade")
_OLD, _NEW = "1.0.0", "2.0.0"
_FORM = {_OLD: 1, _NEW: 2}
# What would touch this machine; what was called is told.
_STANDS_IN = """
systemctl() {
	echo "systemctl $*" >>$T/called
	case $1 in show) echo inactive ;; is-*) return 1 ;; esac
}
journalctl() { :; }
troubles() { :; }
wait_until_ready() { echo "asked $(running_version)" >>$T/called; [ ! -e $T/not-ready ]; }
activate() {
	[ ! -e $T/cannot ] || return 1
	point $OPT/current "$1"
	echo "activated $1" >>$T/called
}
start() { echo "started $(running_version)" >>$T/called; STOPPED=; }
"""


class Half:
    """A box in the middle of an upgrade."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data, self.opt = folder / "data", folder / "opt"
        self.kept = self.data / "before" / _OLD
        for version, form in _FORM.items():
            (self.opt / version).mkdir(parents=True)
            (self.opt / version / ".complete").touch()
            names = "".join(f"schema_{name}={form}\n" for name in ("ledger", "corpus", "library"))
            (self.opt / version / "MANIFEST").write_text(names)
        (self.kept / "etc").mkdir(parents=True)
        (self.kept / "data").mkdir()
        (self.data / "before").chmod(0o700)
        (folder / "etc").mkdir()
        (folder / "etc" / "node").write_text("full\n")
        (self.kept / "etc" / "config.yaml").write_text("of before")
        for name in ("ledger", "corpus"):
            self.database(self.kept / "data" / f"{name}.db", _FORM[_OLD])
            self.database(self.data / f"{name}.db", _FORM[_NEW])
        self.database(self.data / "library.db", _FORM[_OLD])
        (self.opt / "current").symlink_to(_NEW)
        self.note("flipped")

    def note(self, stage: str) -> None:
        (self.opt / ".upgrade").write_text(f"stage={stage}\nfrom={_OLD}\nto={_NEW}\n")

    @staticmethod
    def database(path: Path, form: int) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("CREATE TABLE t (a)")
            db.execute(f"PRAGMA user_version={form}")

    def forms(self) -> dict[str, int]:
        found = {}
        for path in sorted(self.data.glob("*.db")):
            with closing(sqlite3.connect(path)) as db:
                found[path.stem] = db.execute("PRAGMA user_version").fetchone()[0]
        return found

    def call(self, script: str) -> subprocess.CompletedProcess[str]:
        sources = "".join(f". {SETUP}/{part}.sh\n" for part in _PARTS)
        places = (
            f"T={self.folder} OPT={self.opt} ETC={self.folder}/etc DATA={self.data}"
            f" KEPT={self.data}/before UNDERWAY={self.opt}/.upgrade TOUCHED={self.folder}/touched"
            f" NOTED={self.folder}/etc/.installed HERE={self.opt}/{_NEW} VERSION={_NEW} KIND=full\n"
        )
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", sources + places + _STANDS_IN + script],
            capture_output=True,
            text=True,
            check=False,
        )

    def called(self) -> list[str]:
        return (self.folder / "called").read_text().splitlines()

    @property
    def started(self) -> str:
        """The last version that was started; all that was stopped before."""
        told = self.called()
        stops = [n for n, one in enumerate(told) if one.startswith("systemctl stop")]
        [last] = [n for n, one in enumerate(told) if one.startswith("started")][-1:]
        assert not stops or stops[-1] < last, told
        return told[last].split()[1]

    @property
    def running(self) -> str:
        return str((self.opt / "current").readlink())


@pytest.fixture
def half(tmp_path: Path) -> Half:
    return Half(tmp_path)


def test_the_version_before_comes_back_with_its_databases(half: Half) -> None:
    done = half.call(f"return_to {_OLD}")
    assert done.returncode == 0, done.stderr
    assert (half.running, half.started) == (_OLD, _OLD)
    assert half.forms() == {"ledger": 1, "corpus": 1, "library": 1}
    assert (half.folder / "etc" / "config.yaml").read_text() == "of before"
    aside = {path.name for path in half.data.glob("aside/*/*")}
    assert aside == {"ledger.db", "corpus.db"}
    assert not (half.opt / ".upgrade").exists()


def test_where_a_copy_is_missing_the_new_version_runs_and_what_to_do_is_told(half: Half) -> None:
    (half.kept / "data" / "corpus.db").unlink()
    before = half.forms()
    (half.folder / "not-ready").touch()
    done = half.call("settle")
    assert done.returncode == 1
    assert "corpus.db is of a newer form, and there is no copy" in done.stderr
    assert f"no way back to Andon {_OLD}" in done.stderr
    assert "andon restore BACKUP --force" in done.stderr
    assert (half.running, half.started) == (_NEW, _NEW)
    assert half.forms() == before, "none was returned: all are of one version"
    assert not (half.opt / ".upgrade").exists()


def test_what_is_kept_and_is_not_roots_is_no_way_back(half: Half) -> None:
    os.chown(half.data / "before", 12_345, 12_345)
    done = half.call(f"return_to {_OLD}; echo {_OLD}:$RETURNED")
    assert done.stdout.endswith(f"{_OLD}:\n"), done.stderr
    assert half.started == _NEW


def test_a_version_that_cannot_be_set_up_is_no_reason_to_stay_down(half: Half) -> None:
    (half.folder / "cannot").touch()
    done = half.call(f"return_to {_OLD}; echo :$RETURNED")
    assert done.stdout.endswith(":\n"), done.stderr
    assert half.started == _NEW


def test_databases_that_cannot_be_looked_at_are_not_taken_for_old_ones(half: Half) -> None:
    before = half.forms()
    done = half.call(f"setpriv() {{ return 1; }}; return_to {_OLD}; echo :$RETURNED")
    assert done.stdout.endswith(":\n"), done.stderr
    assert (half.started, half.forms()) == (_NEW, before)


def test_whatever_ends_the_installer_the_services_are_started(half: Half) -> None:
    done = half.call("stop_services; cp /nowhere/at/all .")
    assert done.returncode == 1
    assert "cut short" in done.stderr
    assert half.started == _NEW


def test_no_way_back_by_hand_changes_nothing_and_starts_what_ran(half: Half) -> None:
    (half.opt / ".upgrade").unlink()
    (half.opt / "previous").symlink_to(_OLD)
    (half.kept / "data" / "corpus.db").unlink()
    before = half.forms()
    done = half.call("rollback")
    assert done.returncode == 1
    assert f"Nothing was changed, Andon {_NEW} runs" in done.stderr
    assert (half.running, half.started, half.forms()) == (_NEW, _NEW, before)


def test_a_cut_off_upgrade_that_is_well_is_completed_whole(half: Half) -> None:
    """The version's own units may not have been written yet: all of it is done again."""
    done = half.call("settle")
    assert done.returncode == 0, done.stderr
    assert half.called() == [f"activated {_NEW}", f"started {_NEW}", f"asked {_NEW}"]
    assert not (half.opt / ".upgrade").exists()
    assert str((half.opt / "previous").readlink()) == _OLD


def test_one_that_was_cut_off_before_anything_changed_is_forgotten(half: Half) -> None:
    half.note("prepared")
    (half.opt / "current").unlink()
    (half.opt / "current").symlink_to(_OLD)
    assert half.call("settle").returncode == 0
    assert (half.running, half.started) == (_OLD, _OLD)
    assert not (half.opt / ".upgrade").exists()


def test_a_first_boot_enables_what_is_enabled_here(tmp_path: Path) -> None:
    for name in ("andon.target", "andon-metrics.service", "andon-again@.service"):
        (tmp_path / name).touch()
    script = f"""
        . {SETUP}/common.sh; . {SETUP}/files.sh
        UNITS={tmp_path} PRESET={tmp_path}/preset TOUCHED={tmp_path}/touched
        systemctl() {{ case $2 in andon.target) echo enabled ;; andon-again*) echo static ;;
            *) echo disabled; return 1 ;; esac; }}
        write_preset"""
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True)
    told = (tmp_path / "preset").read_text().splitlines()
    assert set(told) == {
        "disable mosquitto.service",
        "enable andon.target",
        "disable andon-metrics.service",
    }


def test_what_is_put_aside_is_one_file_at_every_moment(half: Half) -> None:
    """What only the WAL had is there as well when power goes before the rename."""
    path = half.data / "ledger.db"
    cut = 'mv() { case $* in *returning*) kill -9 $BASHPID ;; esac; command mv "$@"; }\n'
    with closing(
        sqlite3.connect(path)
    ) as db:  # stays open: it is the last to close that has no WAL
        db.execute("INSERT INTO t VALUES ('of the WAL')")
        db.commit()
        done = half.call(f"{cut} return_databases {_OLD}")
        assert done.returncode == -signal.SIGKILL, done.stderr
        [aside] = half.data.glob("aside/*/ledger.db")
        for left in (path, aside):
            with closing(sqlite3.connect(f"file:{left}?immutable=1", uri=True)) as cut_off:
                assert cut_off.execute("SELECT a FROM t").fetchall() == [("of the WAL",)]
    assert half.call(f"return_to {_OLD}").returncode == 0
    assert half.forms() == {"ledger": 1, "corpus": 1, "library": 1}


def test_a_database_that_is_in_use_is_not_returned(half: Half) -> None:
    before = half.forms()
    with closing(sqlite3.connect(half.data / "ledger.db", isolation_level=None)) as db:
        db.execute("INSERT INTO t VALUES (1)")
        db.execute("BEGIN")
        db.execute("SELECT * FROM t").fetchall()
        done = half.call(f"return_databases {_OLD}")
    assert done.returncode == 1
    assert "ledger.db is in use" in done.stderr
    assert half.forms() == before


@pytest.fixture
def upgraded(half: Half) -> Half:
    """One whose upgrade is long done."""
    (half.opt / ".upgrade").unlink()
    (half.opt / "previous").symlink_to(_OLD)
    return half


@pytest.mark.parametrize(
    "cut",
    [
        "point() { [ $1 != $OPT/previous ] || kill -9 $$ $BASHPID; ln -sfn $2 $1; }",
        "return_databases() { kill -9 $$ $BASHPID; }",
        'mv() { case $* in *returning/corpus*) kill -9 $$ $BASHPID; esac; command mv "$@"; }',
        'mv() { case $* in *returning/ledger*) kill -9 $$ $BASHPID; esac; command mv "$@"; }',
    ],
)
def test_a_way_back_by_hand_that_was_cut_off_is_gone_to_its_end(upgraded: Half, cut: str) -> None:
    done = upgraded.call(f"{cut}\nrollback")
    assert done.returncode == -signal.SIGKILL, done.stderr
    done = upgraded.call("settle")
    assert done.returncode == 0, done.stderr
    assert (upgraded.running, upgraded.started) == (_OLD, _OLD)
    assert str((upgraded.opt / "previous").readlink()) == _NEW
    assert upgraded.forms() == {"ledger": 1, "corpus": 1, "library": 1}
    assert not (upgraded.opt / ".upgrade").exists()


def test_a_way_back_that_was_cut_off_before_anything_changed_is_not_gone(upgraded: Half) -> None:
    before = upgraded.forms()
    assert (
        upgraded.call("activate() { kill -9 $$ $BASHPID; }\nrollback").returncode == -signal.SIGKILL
    )
    assert upgraded.call("settle").returncode == 0
    assert (upgraded.running, upgraded.started, upgraded.forms()) == (_NEW, _NEW, before)
    assert str((upgraded.opt / "previous").readlink()) == _OLD


def test_a_version_before_that_cannot_be_set_up_costs_no_database(upgraded: Half) -> None:
    before = upgraded.forms()
    done = upgraded.call(f"activate() {{ [ $1 = {_NEW} ]; }}\nrollback")
    assert done.returncode == 1
    assert f"Andon {_NEW} runs" in done.stderr
    assert (upgraded.running, upgraded.started, upgraded.forms()) == (_NEW, _NEW, before)
    assert not (upgraded.opt / ".upgrade").exists()


def test_an_enabled_unit_is_wanted_by_what_its_version_says(tmp_path: Path) -> None:
    if not shutil.which("systemctl"):
        pytest.skip("systemctl is missing")
    units, links = tmp_path / "usr/local/lib/systemd/system", tmp_path / "etc/systemd/system"
    shipped = tmp_path / "opt/1/deploy/systemd"
    for folder in (units, links, shipped):
        folder.mkdir(parents=True)
    old, new = "dev-disk-by\\x2dlabel-A\\x2dB.device", "dev-disk-by\\x2dlabel-AB.device"
    names = ("andon-backup-stick.service", "andon-b.service", "andon-off.service")

    def enable(by: str) -> None:
        for folder, name in itertools.product((units, shipped), names):
            (folder / name).write_text(
                f"[Service]\nExecStart=/bin/true\n[Install]\nWantedBy={by}\n"
            )
        script = f"""
            . {SETUP}/common.sh; . {SETUP}/files.sh
            OPT={tmp_path}/opt NOTED={tmp_path} UNITS={units} LINKS={links} TOUCHED={tmp_path}/t
            T={tmp_path}
            systemctl() {{ echo "$*" >>$T/called; command systemctl --root=$T "$@"; }}
            enable_units 1 full"""
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], check=True)

    def wanted() -> set[str]:
        return {str(path.relative_to(links)) for path in links.glob("*.wants/*")}

    enable(old)
    assert wanted() == {f"{old}.wants/{name}" for name in names}
    (links / f"{old}.wants" / names[2]).unlink()  # as a person has it
    enable(new)
    assert wanted() == {f"{new}.wants/{name}" for name in names[:2]}
    (tmp_path / "called").unlink()
    enable(new)
    assert "-q" not in (tmp_path / "called").read_text(), "all is as it should be"
    # A label of a person's own stays.
    label = links / "run-andonstick.mount.d" / "50-label.conf"
    label.parent.mkdir()
    label.touch()
    enable(old)
    assert wanted() == {f"{new}.wants/{names[0]}", f"{old}.wants/{names[1]}"}
