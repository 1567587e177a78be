"""Backups of a data folder: made, rotated, checked, refused, brought back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from services.backup import finding, manifest, restoring, snapshot
from services.backup.chunks import CHUNK
from services.backup.manifest import Head
from services.backup.seal import Plain
from services.backup.staging import Staging
from services.backup.vault import Vault
from services.runtime import process, unfinished
from services.runtime.errors import AndonError, Damaged, Fatal, Rejected
from tests.support.backups import (
    KNOWN,
    back_up,
    bring_back,
    content,
    enter,
    kept,
    nothing,
    rows,
    tree,
    wanted,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tree(tmp_path / "data")


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("correct horse battery staple\n")
    return path


def parts(to: Path) -> dict[str, int]:
    return {p.name: p.stat().st_size for p in (to / "box" / "parts").rglob("*") if p.is_file()}


@pytest.mark.parametrize("sealed", [False, True])
def test_all_comes_back(data: Path, to: Path, key: Path, tmp_path: Path, sealed: bool) -> None:
    more = {"key_file": key} if sealed else {}
    made = back_up(data, to, **more)
    assert made.left_out == []
    assert (made.head.documents, made.head.secrets) == (3, sealed)
    second = tmp_path / "second" / "data"
    done = bring_back(Path(made.path), second, **({"key": key} if sealed else {}))
    assert done.aside == []
    assert content(second) == kept(data, secrets=sealed)
    assert not (second / unfinished.RESTORING).exists()
    for name, stat in ((p.name, p.stat()) for p in (data / "originals").iterdir()):
        assert (second / "originals" / name).stat().st_mode == stat.st_mode
    if sealed:
        raw = b"".join(p.read_bytes() for p in to.rglob("*") if p.is_file())
        assert b"SQLite format" not in raw
        assert b"manual-1.pdf" not in raw


def test_a_second_backup_writes_what_is_new_only(data: Path, to: Path, tmp_path: Path) -> None:
    enter(data, "large.bin", os.urandom(2 * CHUNK + 17))
    first = back_up(data, to)
    before = parts(to)
    again = back_up(data, to)
    assert (again.written, parts(to)) == (0, before)
    enter(data, "new.pdf", b"n" * 50_000)
    third = back_up(data, to)
    new = set(parts(to)) - set(before)
    assert 50_000 <= third.written < first.written / 2
    assert {size for name, size in parts(to).items() if name in new} >= {50_000}
    bring_back(to, tmp_path / "newest")
    assert content(tmp_path / "newest") == kept(data)
    bring_back(Path(first.path), tmp_path / "oldest")
    assert "new.pdf" not in "".join(rows(tmp_path / "oldest" / "library.db"))


def test_rotation_lets_go_of_what_only_old_ones_need(data: Path, to: Path, tmp_path: Path) -> None:
    gone = enter(data, "gone.pdf", os.urandom(300_000))
    back_up(data, to, keep=2)
    (data / "originals" / gone).unlink()
    with closing(sqlite3.connect(data / "library.db")) as db, db:
        db.execute("DELETE FROM document WHERE doc_id = 'gone.pdf'")
        db.execute("DELETE FROM revision WHERE doc_id = 'gone.pdf'")
    assert back_up(data, to, keep=2).deleted == []
    assert 300_000 in parts(to).values()
    third = back_up(data, to, keep=2)
    assert [name[:6] for name in third.deleted] == ["000001"]
    assert 300_000 not in parts(to).values()
    [vault] = Vault.all_in(to)
    assert [one.number for one in vault.backups()] == [2, 3]
    for one in vault.backups():
        finding.whole(finding.find(one.path, None), nothing)


def test_each_part_in_turn_is_missed_when_it_is_damaged(
    data: Path, to: Path, tmp_path: Path
) -> None:
    made = back_up(data, to)
    found = finding.find(Path(made.path), None)
    files = [Path(made.path), *(p for p in (to / "box" / "parts").rglob("*") if p.is_file())]
    assert len(files) > 8
    for number, path in enumerate(files):
        whole = path.read_bytes()
        at = len(whole) * (number % 7) // 7
        for broken in (
            whole[: len(whole) // 2],
            whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :],
            None,
        ):
            path.unlink()
            if broken is not None:
                path.write_bytes(broken)
            with pytest.raises(Rejected) as caught:
                bring_back(Path(made.path), tmp_path / "second")
            names = [e.path for e in found.manifest.entries if path.name in e.chunks]
            assert not names or any(name in caught.value.reason for name in names)
            assert path.name in caught.value.reason
            assert not (tmp_path / "second").exists()
        path.write_bytes(whole)
    bring_back(Path(made.path), tmp_path / "second")


def test_check_finds_damage_and_the_next_backup_mends_it(data: Path, to: Path) -> None:
    made = back_up(data, to)
    found = finding.find(to, None)
    assert finding.verify(found, nothing, mend=True) == []
    entry = next(e for e in found.manifest.entries if "originals" in e.path)
    path = found.chunks.path(entry.chunks[0])
    path.write_bytes(b"!" + path.read_bytes()[1:])
    [fault] = finding.verify(found, nothing, mend=True)
    assert entry.path in fault
    assert path.name in fault
    again = back_up(data, to)
    assert again.written == entry.size
    for where in (made.path, again.path):
        assert finding.verify(finding.find(Path(where), None), nothing) == []


def test_a_damaged_list_counts_for_nothing(data: Path, to: Path, tmp_path: Path) -> None:
    first = back_up(data, to, keep=1)
    second = back_up(data, to, keep=2)
    Path(second.path).write_bytes(Path(second.path).read_bytes()[:-9])
    with pytest.raises(Rejected, match="checksum is wrong"):
        bring_back(to, tmp_path / "second")
    third = back_up(data, to, keep=2)
    assert third.deleted == []
    assert Path(first.path).exists()
    bring_back(Path(first.path), tmp_path / "second")
    assert len(back_up(data, to, keep=1).deleted) == 3


def test_a_newer_schema_is_refused(data: Path, to: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "corpus.db")) as db:
        db.execute(f"PRAGMA user_version={KNOWN['corpus.db'] + 1}")
    made = back_up(data, to, andon="7.0")
    with pytest.raises(Fatal, match=r"corpus\.db has schema .*install Andon 7\.0"):
        bring_back(Path(made.path), tmp_path / "second")


def test_a_newer_format_is_refused(data: Path, to: Path, tmp_path: Path) -> None:
    made = back_up(data, to)
    head = Head(format=manifest.FORMAT + 1, andon="9.9", box="box", made="", files=0, size=0,
                documents=0, secrets=False, models=False)  # fmt: skip
    listed = manifest.Manifest(schemas={}, entries=[])
    Path(made.path).write_bytes(manifest.encode(head, listed, Plain()))
    with pytest.raises(Fatal, match=r"format 2.*install Andon 9\.9"):
        bring_back(Path(made.path), tmp_path / "second")
    with pytest.raises(Fatal, match=r"9\.9"):  # nor is anything of it deleted
        back_up(data, to)


def test_keys_that_do_not_fit(data: Path, to: Path, key: Path, tmp_path: Path) -> None:
    back_up(data, to, key_file=key)
    before = parts(to)
    other = tmp_path / "other"
    other.write_text("another long passphrase")
    second = tmp_path / "second"
    with pytest.raises(Rejected, match="not encrypted with this key"):
        bring_back(to, second, key=other)
    with pytest.raises(Rejected, match="name its key with --key-file"):
        bring_back(to, second)
    for more, said in (({"key_file": other}, "with this key"), ({}, "is encrypted")):
        with pytest.raises(Rejected, match=said):
            back_up(data, to, **more)
    assert parts(to) == before
    back_up(data, tmp_path / "plain")
    with pytest.raises(Rejected, match="is not encrypted"):
        bring_back(tmp_path / "plain", second, key=key)
    with pytest.raises(Rejected, match="is not encrypted"):
        back_up(data, tmp_path / "plain", key_file=key)


def test_what_is_there_stays_unless_told_and_is_set_aside_then(
    data: Path, to: Path, tmp_path: Path
) -> None:
    back_up(data, to)
    second = tree(tmp_path / "second", originals=1, seed=9)
    (second / "broker").mkdir()
    (second / "broker" / "mosquitto.db").write_text("the broker's")
    before = content(second)
    with pytest.raises(Rejected, match="is not empty"):
        bring_back(to, second)
    assert content(second) == before
    done = bring_back(to, second, force=True)
    stays = {name: before.pop(name) for name in [*before] if name.startswith(STAY)}
    assert len(stays) > 1
    assert content(second) == {**kept(data), **stays}
    [aside] = done.aside
    assert content(Path(aside), aside=True) == before


def test_models_make_room_for_those_of_the_backup(data: Path, to: Path, tmp_path: Path) -> None:
    back_up(data, to, models=True)
    second = tree(tmp_path / "second", originals=1, seed=9)
    (second / "models" / "another.gguf").write_bytes(b"another")
    [aside] = bring_back(to, second, force=True).aside
    assert not (second / "models" / "another.gguf").exists()
    assert (Path(aside) / "models" / "another.gguf").read_bytes() == b"another"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is mistaken for another user")
def test_what_another_user_left_is_not_gone_on_with(data: Path, to: Path, tmp_path: Path) -> None:
    """Its plan may name any place: root would put there what the services' user wrote."""
    back_up(data, to)
    second, away = tmp_path / "second", tmp_path / "cron.d"
    left = second / unfinished.RESTORING
    (left / "data").mkdir(parents=True)
    (left / "etc").mkdir()
    (left / "etc" / "evil").write_text("evil")
    entry = {"path": "etc/evil", "size": 4, "sha256": "0" * 64, "mode": 0o644, "mtime_ns": 0}
    plan = {"etc": str(away), "stamp": "x", "entries": [entry]}
    (left / unfinished.COMPLETE).write_bytes(msgspec.json.encode(plan))
    os.chown(left, 12_345, 12_345)
    with pytest.raises(Rejected, match="left by another user"):
        bring_back(to, second, force=True)
    assert not away.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_restore_that_was_cut_off_while_it_wrote_keeps_no_service_from_starting(
    data: Path, to: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(data, to)
    second = tmp_path / "second"
    found = finding.find(to, None)

    def cut_off(_name: str, _done: int, _total: int) -> None:
        os.seteuid(12_345)
        try:
            unfinished.refuse(Path())
            looked.append(Path(unfinished.RESTORING).is_dir())
            with pytest.raises(PermissionError):
                list(Path(unfinished.RESTORING, "etc").iterdir())
        finally:
            os.seteuid(0)
        raise KeyboardInterrupt

    looked = list[bool]()
    second.mkdir()
    os.chown(second, 12_345, 12_345)
    monkeypatch.chdir(second)  # the folders above are shown to us alone
    with pytest.raises(KeyboardInterrupt):
        restoring.restore(found, second, None, force=False, progress=cut_off)
    assert looked == [True]


def test_running_services_are_seen(data: Path, to: Path) -> None:
    back_up(data, to)
    assert restoring.in_use(data) == ""
    with closing(sqlite3.connect(data / "library.db")) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("SELECT count(*) FROM document").fetchone()
        # In another process: locks of our own would not be in our way.
        pid = os.fork()
        if pid == 0:
            os._exit(restoring.in_use(data) == "library.db")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_a_damaged_database_is_not_backed_up(data: Path, to: Path) -> None:
    good = back_up(data, to)
    with (data / "ledger.db").open("r+b") as file:
        file.seek(6 * 2048)
        file.write(b"\xff" * 40_000)
    with pytest.raises(Damaged, match=r"ledger\.db: it is damaged"):
        back_up(data, to, keep=1)
    finding.whole(finding.find(Path(good.path), None), nothing)
    assert not list(data.glob(".backup-*"))


def test_a_changed_original_is_left_out_and_told(data: Path, to: Path, tmp_path: Path) -> None:
    broken, gone, _ = sorted((data / "originals").iterdir())
    broken.write_bytes(b"rotten")
    gone.unlink()
    made = back_up(data, to)
    assert len(made.left_out) == 2
    assert any(broken.name in line and "disk changed" in line for line in made.left_out)
    assert any(gone.name in line for line in made.left_out)
    bring_back(to, tmp_path / "second")
    assert len(list((tmp_path / "second" / "originals").iterdir())) == 1


def test_the_configuration_comes_back_and_what_was_there_is_set_aside(
    data: Path, to: Path, key: Path, tmp_path: Path
) -> None:
    etc = tmp_path / "etc"
    (etc / "credentials").mkdir(parents=True)
    (etc / "config.yaml").write_text("log: debug\n")
    (etc / "credentials" / "ingest").write_text("pw-1")
    (etc / "credentials" / "ingest").chmod(0o600)
    back_up(data, to, etc=etc)
    back_up(data, tmp_path / "sealed", etc=etc, key_file=key)
    fresh = tmp_path / "fresh"
    (fresh / "credentials").mkdir(parents=True)
    (fresh / "credentials" / "ingest").write_text("pw-2")
    (fresh / "config.yaml").write_text("log: error\n")
    done = bring_back(to, tmp_path / "a", etc=fresh)
    assert (fresh / "config.yaml").read_text() == "log: debug\n"
    assert (fresh / "credentials" / "ingest").read_text() == "pw-2"  # it is in no plain backup
    [aside] = done.aside
    assert (Path(aside) / "config.yaml").read_text() == "log: error\n"
    shutil.rmtree(aside)
    done = bring_back(tmp_path / "sealed", tmp_path / "b", etc=fresh, key=key)
    assert (fresh / "credentials" / "ingest").read_text() == "pw-1"
    assert (fresh / "credentials" / "ingest").stat().st_mode & 0o777 == 0o600
    [aside] = done.aside
    assert (Path(aside) / "credentials" / "ingest").read_text() == "pw-2"


def test_two_boxes_in_one_folder(data: Path, to: Path, tmp_path: Path) -> None:
    one = back_up(data, to, box="one", keep=1)
    back_up(data, to, box="two", keep=1)
    assert Path(one.path).exists()
    with pytest.raises(Rejected, match="several boxes"):
        bring_back(to, tmp_path / "second")
    bring_back(to / "two", tmp_path / "second")
    with pytest.raises(Rejected, match="no backup in"):
        bring_back(tmp_path / "second", tmp_path / "third")


def test_only_one_at_a_time(data: Path, to: Path) -> None:
    back_up(data, to)
    with Vault(to / "box").working() as cut_off:
        assert not cut_off
        with pytest.raises(Rejected, match="another backup"):
            back_up(data, to)


def test_models_by_choice(data: Path, to: Path, tmp_path: Path) -> None:
    back_up(data, to, models=True)
    bring_back(to, tmp_path / "second")
    assert (tmp_path / "second" / "models" / "big.gguf").read_text() == "GGUF"


def test_an_inbox_elsewhere_is_not_ours(data: Path, to: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (share / "a.pdf").write_text("theirs")
    back_up(data, to, inbox=share)
    bring_back(to, tmp_path / "second")
    assert not (tmp_path / "second" / "inbox").exists()


def test_the_copies_are_of_one_moment(data: Path, tmp_path: Path) -> None:
    """A pair of commits, corpus then library, is never seen by half, nor library first."""
    over = threading.Event()
    written = [0]

    def write() -> None:
        with (
            closing(sqlite3.connect(data / "corpus.db", isolation_level=None)) as corpus,
            closing(sqlite3.connect(data / "library.db", isolation_level=None)) as library,
        ):
            for one in (corpus, library):
                one.execute("PRAGMA synchronous=OFF")
            while not over.is_set():
                written[0] += 1
                corpus.execute("INSERT OR REPLACE INTO meta VALUES ('n', ?)", (str(written[0]),))
                library.execute("INSERT OR REPLACE INTO fact VALUES ('n', ?)", (str(written[0]),))
                over.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(15):
            folder = tmp_path / str(number)
            folder.mkdir()
            staging = Staging(folder)
            with snapshot.moment(data) as held:
                assert held.names == ["ledger.db", "corpus.db", "library.db"]
                for name in reversed(held.names):  # the order of copying does not count
                    held.copy(name, staging, lambda: None)
            with closing(sqlite3.connect(staging.folder / "corpus.db")) as db:
                [corpus] = db.execute("SELECT value FROM meta WHERE key = 'n'").fetchall() or [
                    ("0",)
                ]
            with closing(sqlite3.connect(staging.folder / "library.db")) as db:
                [library] = db.execute("SELECT value FROM fact WHERE key='n'").fetchall() or [
                    ("0",)
                ]
            staging.close()
            assert int(corpus[0]) - int(library[0]) in {0, 1}
    finally:
        over.set()
        writer.join()
    assert written[0] > 15


def test_a_restore_that_was_cut_off_while_renaming_is_finished(
    data: Path, to: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(data, to)
    moves, real = 0, Path.replace
    while True:  # cut off after each rename in turn
        second = tree(tmp_path / f"second-{moves}", originals=1, seed=5)
        before = content(second)
        left = [moves]

        def replace(path: Path, target: Path, left: list[int] = left) -> Path:
            if RENAMES in str(path) or "before-restore-" in str(target):
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
            return real(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", replace)
            try:
                bring_back(to, second, force=True)
            except KeyboardInterrupt:
                cut_off = True
            else:
                cut_off = False
        if not cut_off:
            break
        with pytest.raises(Fatal, match="was cut off"):
            unfinished.refuse(second)
        aside = restoring.finish(second)
        unfinished.refuse(second)
        stays = {name: before.pop(name) for name in [*before] if name.startswith(STAY)}
        assert content(second) == {**kept(data), **stays}
        assert content(Path(aside[0]), aside=True) == before
        moves += 1
    assert moves > 10


STAY = ("broker/", "models/")
"""What of a data folder is not set aside."""
RENAMES = f"{unfinished.RESTORING}/data/"


def test_no_service_starts_on_half_a_restore(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / unfinished.RESTORING).mkdir()
    (data / unfinished.RESTORING / unfinished.COMPLETE).write_text("{}")
    config = tmp_path / "config.yaml"
    config.write_text(f"data: {data}\n")

    def build(_config: object) -> process.Service:
        raise AssertionError

    assert process.run(build, ["--config", str(config)]) == process.EXIT_CONFIG
    assert "start the same `andon restore` once more" in capsys.readouterr().err


def test_an_error_says_what_to_do(data: Path, tmp_path: Path) -> None:
    with pytest.raises(AndonError) as caught:
        back_up(data, data / "backups")
    assert caught.value.hint
    assert wanted(data, tmp_path).keep == 7
