"""Backups, part by part: lists, parts, seals, rotation, secrets, units."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.backup import contents, manifest, units
from services.backup.chunks import CHUNK, Broken, Chunks
from services.backup.manifest import DamagedManifest, Entry, Head, Manifest, meant, told
from services.backup.seal import Lock, NotOpened, Plain, Seal, Sealed, new_lock, read_key
from services.backup.vault import Backup, Vault, outdated
from services.runtime.config import Config
from services.runtime.errors import Fatal, Rejected

pytestmark = pytest.mark.unit

CHEAP = Lock(salt="0" * 32, passes=1, memory_kb=1024)
SEALS: dict[str, Seal] = {"plain": Plain(), "sealed": Sealed(CHEAP, b"correct horse battery")}
HEAD = Head(
    andon="0.1.0",
    box="box",
    made="2026-01-01T00:00:00.000Z",
    files=1,
    size=3,
    documents=1,
    secrets=False,
    models=False,
)
NAMES = st.binary(min_size=1, max_size=30).map(
    lambda raw: os.fsdecode(raw.replace(b"\0", b"x").replace(b"/", b"_").strip(b".") or b"x")
)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
ENTRIES = st.builds(
    Entry,
    path=st.tuples(st.sampled_from(["data", "etc"]), NAMES).map(lambda pair: told(*pair)),
    size=st.integers(0, 2**40),
    sha256=DIGESTS,
    mode=st.integers(0, 0o777),
    mtime_ns=st.integers(0, 2**62),
    chunks=st.lists(DIGESTS, max_size=3),
)
MANIFESTS = st.builds(
    Manifest,
    schemas=st.dictionaries(st.sampled_from(["ledger.db", "corpus.db"]), st.integers(0, 9)),
    entries=st.lists(ENTRIES, max_size=5),
)


@pytest.mark.parametrize("how", SEALS)
@given(listed=MANIFESTS)
@settings(max_examples=40, deadline=None)
def test_a_list_comes_back_as_it_was(how: str, listed: Manifest) -> None:
    seal = SEALS[how]
    head = msgspec.structs.replace(HEAD, lock=seal.lock)
    data = manifest.encode(head, listed, seal)
    assert manifest.read_head(data, "x") == head
    assert manifest.decode(data, seal, "x") == (head, listed)


@pytest.mark.parametrize("how", SEALS)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_changed_or_shortened_list_is_seen(how: str, drawn: st.DataObject) -> None:
    seal = SEALS[how]
    listed = Manifest(schemas={}, entries=[])
    data = manifest.encode(msgspec.structs.replace(HEAD, lock=seal.lock), listed, seal)
    if drawn.draw(st.booleans()):
        broken = data[: drawn.draw(st.integers(0, len(data) - 2))]
    else:
        at = drawn.draw(st.integers(0, len(data) - 2))
        flipped = data[at] ^ (1 << drawn.draw(st.integers(0, 7)))
        broken = data[:at] + bytes([flipped]) + data[at + 1 :]
    with pytest.raises(DamagedManifest):
        manifest.decode(broken, seal, "x")


def test_a_list_with_another_key_says_that_it_is_the_key() -> None:
    data = manifest.encode(
        msgspec.structs.replace(HEAD, lock=CHEAP), Manifest(schemas={}, entries=[]), SEALS["sealed"]
    )
    with pytest.raises(Rejected, match="not encrypted with this key"):
        manifest.decode(data, Sealed(CHEAP, b"another long secret"), "x")


def test_a_list_of_a_newer_andon_says_which() -> None:
    newer = msgspec.structs.replace(HEAD, format=manifest.FORMAT + 1, andon="9.1")
    data = manifest.encode(newer, Manifest(schemas={}, entries=[]), Plain())
    with pytest.raises(Fatal, match=r"install Andon 9\.1 or a newer one"):
        manifest.read_head(data, "x")


@pytest.mark.parametrize(
    "path",
    ["data/../etc/passwd", "data//x", "/etc/passwd", "data/", "data", "other/x", "data/a/../b",
     "data/%2e%2e/x", "etc/./x", "data/%00", "data//etc/passwd"],
)  # fmt: skip
def test_a_list_that_leads_elsewhere_is_refused(path: str) -> None:
    entry = Entry(path=path, size=0, sha256="0" * 64, mode=0, mtime_ns=0)
    data = manifest.encode(HEAD, Manifest(schemas={}, entries=[entry]), Plain())
    with pytest.raises(DamagedManifest, match="it names"):
        manifest.decode(data, Plain(), "x")


@given(NAMES)
def test_any_name_of_a_file_comes_back(name: str) -> None:
    written = told("data", name)
    written.encode("utf-8")  # fit for JSON
    assert meant(written) == ("data", name)


@pytest.mark.parametrize("how", SEALS)
@given(data=st.binary(max_size=5000), about=st.binary(max_size=64))
@settings(max_examples=40, deadline=None)
def test_what_is_closed_opens_again(how: str, data: bytes, about: bytes) -> None:
    seal = SEALS[how]
    closed = seal.close(data, about)
    assert len(closed) == len(data) + seal.overhead
    assert seal.open(closed, about) == data
    assert seal.name(data) == seal.name(bytes(data))


@given(data=st.binary(min_size=1, max_size=300), at=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(deadline=None)
def test_a_flipped_bit_does_not_open(data: bytes, at: int, bit: int) -> None:
    closed = bytearray(SEALS["sealed"].close(data, b"name"))
    closed[at % len(closed)] ^= 1 << bit
    with pytest.raises(NotOpened):
        SEALS["sealed"].open(bytes(closed), b"name")
    with pytest.raises(NotOpened):
        SEALS["sealed"].open(SEALS["sealed"].close(data, b"name"), b"another name")


def test_names_of_sealed_parts_do_not_tell_what_they_are() -> None:
    other = Sealed(CHEAP, b"another long secret")
    names = {seal.name(b"a known manual") for seal in (*SEALS.values(), other)}
    assert len(names) == 3
    assert new_lock().salt != new_lock().salt


@pytest.mark.parametrize(
    ("text", "found"), [(b"short\n", "5 bytes"), (b"x" * 70_000, "65537 bytes"), (None, "No such")]
)
def test_a_key_file_that_is_none(tmp_path: Path, text: bytes | None, found: str) -> None:
    path = tmp_path / "key"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(Rejected, match=found):
        read_key(path)


def test_the_end_of_line_is_no_part_of_a_key(tmp_path: Path) -> None:
    for number, text in enumerate((b"correct horse battery", b"correct horse battery\r\n")):
        path = tmp_path / str(number)
        path.write_bytes(text)
        assert read_key(path) == b"correct horse battery"


@pytest.mark.parametrize("how", SEALS)
def test_parts_are_kept_once_and_checked(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    chunks = Chunks(folder, SEALS[how])
    name = chunks.put(b"abc")
    written = chunks.written
    assert chunks.put(b"abc") == name
    assert (chunks.written, chunks.get(name)) == (written, b"abc")
    again = Chunks(folder, SEALS[how])
    assert again.holds(name, 3)
    assert not again.holds(name, 4)
    path = again.path(name)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(Broken, match=name):
        again.get(name)
    again.set_aside(name)
    assert not again.holds(name, 3)
    assert again.put(b"abc") == name
    assert again.get(name) == b"abc"
    other = again.put(b"needed by nobody")
    (path.parent / ".new-half").write_bytes(b"x")
    assert again.sweep({name}) > 0
    assert [p.name for p in folder.rglob("*") if p.is_file()] == [name]
    with pytest.raises(Broken):
        again.get(other)
    assert CHUNK < 2**32  # FAT


def _backups(*whole: bool) -> list[Backup]:
    return [
        Backup(path=Path(str(number)), number=number, head=HEAD if good else None)
        for number, good in enumerate(whole, 1)
    ]


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 5))
def test_rotation_keeps_the_newest_whole_ones(whole: list[bool], keep: int) -> None:
    backups = _backups(*whole)
    gone = outdated(backups, keep)
    left = [one for one in backups if one not in gone]
    good = [one for one in backups if one.head]
    assert [one for one in left if one.head] == good[-keep:]
    if good:
        assert all(one.head or one.number > good[-keep:][0].number for one in left)
    else:
        assert gone == []


@given(st.text(max_size=40))
def test_any_computer_has_a_folder(host: str) -> None:
    name = Vault.box_name(host)
    assert name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def test_a_configuration_without_its_secrets() -> None:
    text = (
        b"broker:\n  username: andon\n  password: s3cret-1  # ours\nllm_bridge:\n  api_key: k-42\n"
    )
    left = contents.without_secrets(text)
    assert left == b'broker:\n  username: andon\n  password: ""\nllm_bridge:\n  api_key: ""\n'


@pytest.mark.parametrize(
    "text",
    [b"broker: {username: u, password: s3cret}\n", b"# s3cret\nbroker:\n  password: s3cret\n",
     b"broker:\n  password: |\n    s3cret\n", b"a: [", b"\xff"],
)  # fmt: skip
def test_a_secret_that_is_hard_to_find_keeps_the_file_out(text: bytes) -> None:
    assert contents.without_secrets(text) is None


@pytest.mark.parametrize(
    ("path", "is_open"),
    [("config.yaml", True), ("broker/mosquitto.conf", True), ("broker/tls/ca.crt", False),
     ("broker/tls/server.key", False), ("credentials/ingest", False), ("broker/passwords", False),
     ("profile", True), ("anything-new", False)],
)  # fmt: skip
def test_what_holds_no_secret(path: str, is_open: bool) -> None:
    assert contents.is_open(Path(path)) is is_open


def test_only_open_files_of_the_configuration_without_a_key(tmp_path: Path) -> None:
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "ingest").write_text("pw")
    (tmp_path / "config.yaml").write_text("broker: {url: 'mqtt://h'}\n")
    found = {s.name for s in contents.configuration(tmp_path, None, secrets=False)}
    assert found == {"etc/config.yaml"}
    found = {s.name for s in contents.configuration(tmp_path, None, secrets=True)}
    assert found == {"etc/config.yaml", "etc/credentials/ingest"}


@pytest.mark.parametrize(
    ("label", "unit"),
    [
        ("ANDONBACKUP", r"dev-disk-by\x2dlabel-ANDONBACKUP.device"),
        # As udev names the link: Werk\x203, whose backslash systemd escapes.
        ("Werk 3", r"dev-disk-by\x2dlabel-Werk\x5cx203.device"),
        ("a+b@c", r"dev-disk-by\x2dlabel-a\x2bb\x40c.device"),
        ("Süd", r"dev-disk-by\x2dlabel-S\xc3\xbcd.device"),
    ],
)
def test_the_unit_of_a_label(label: str, unit: str) -> None:
    assert units.device_of(label) == unit
    assert units.wants(label) == f"{unit}.wants/andon-backup-stick.service"


def test_the_usual_label_is_one_that_every_stick_can_have() -> None:
    """11 bytes is all that FAT and exFAT have room for, and FAT knows no small letters."""
    label = Config().backup.stick_label
    assert label.isupper()
    assert len(label.encode()) <= 11
    deploy = Path(__file__).resolve().parents[2] / "deploy"
    assert f"by-label/{label}\n" in (deploy / "systemd" / units.MOUNT).read_text()
    assert f"WantedBy={units.device_of(label)}\n" in (deploy / "systemd" / units.STICK).read_text()
    assert f"stick_label: {label}\n" in (deploy / "config.example.yaml").read_text()


def test_units_of_label_and_time() -> None:
    files = units.drop_ins("Werk 3", "04:15")
    assert "What=/dev/disk/by-label/Werk\\x203\n" in files["run-andonstick.mount.d/50-label.conf"]
    assert "OnCalendar=\nOnCalendar=*-*-* 04:15:00\n" in files["andon-backup.timer.d/50-at.conf"]
    assert units.drop_ins("", "") == {}
