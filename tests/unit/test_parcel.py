"""The file of a collection: what is signed comes back, whatever else is refused."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.retrieval import Passage
from services.parcel import contents, file, keys
from services.parcel.contents import Batch, Collection, Document
from services.runtime.errors import AndonError, Fatal, Rejected
from tests.support.strategies import instances

pytestmark = pytest.mark.unit

ORIGINAL = b"%PDF a manual"
SHA256 = hashlib.sha256(ORIGINAL).hexdigest()


@pytest.fixture
def box(tmp_path: Path) -> keys.Box:
    (tmp_path / "data").mkdir()
    return keys.Box.of(tmp_path / "data")


def written(folder: Path, box: keys.Box, batches: list[Batch], *, version: int = 1) -> Path:
    (folder / "original").write_bytes(ORIGINAL)
    path = folder / "hall.andon"
    with file.writing(path) as writer:
        document = Document(
            file="press.pdf",
            title="Press",
            lang="en",
            passages=sum(len(b.passages) for b in batches),
            vectors=0,
            original=writer.file("originals/x", folder / "original", SHA256),
            batches=writer.batches("passages/0", batches),
        )
        listed = Collection(
            format=version, andon="0.1.0", box="b", made="", collection="Hall 3",
            embedding="m@1", documents=[document],
        )  # fmt: skip
        writer.close(listed, box)
    return path


def read(path: Path, trusted: set[str] | None) -> tuple[Collection, bytes, list[Batch]]:
    with file.reading(path, trusted) as reader:
        reader.check(lambda _name: None)
        [document] = reader.listed.documents
        reader.unpack(document.original, path.with_name("unpacked"))
        return (
            reader.listed,
            path.with_name("unpacked").read_bytes(),
            list(reader.batches(document)),
        )


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(passages=st.lists(st.lists(instances(Passage), max_size=3), max_size=3))
def test_what_is_written_is_read(
    tmp_path: Path, box: keys.Box, passages: list[list[Passage]]
) -> None:
    batches = [Batch(some, [b"\x00\x3c"] * len(some)) for some in passages]
    listed, original, found = read(written(tmp_path, box, batches), {box.public})
    assert (listed.collection, original, found) == ("Hall 3", ORIGINAL, batches)


def test_any_changed_byte_is_refused_or_means_nothing(tmp_path: Path, box: keys.Box) -> None:
    path = written(tmp_path, box, [Batch([Passage(ordinal=0, text="E005")], [b""])])
    whole = path.read_bytes()
    good = read(path, {box.public})
    refused = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            # Some bytes of a zip say nothing, such as when a file was changed.
            assert read(path, {box.public}) == good, at
        except Rejected:
            refused += 1
    assert refused > len(whole) * 0.8


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, box: keys.Box) -> None:
    path = written(tmp_path, box, [])
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(Rejected):
            read(path, {box.public})


def test_who_is_not_trusted_is_refused(tmp_path: Path, box: keys.Box) -> None:
    path = written(tmp_path, box, [])
    with pytest.raises(Rejected, match=f"{box.public}, which is not trusted"):
        read(path, {"0" * 64})
    assert read(path, None)[0].collection == "Hall 3"  # looked at only


def test_a_list_with_another_signature_or_none(tmp_path: Path, box: keys.Box) -> None:
    (tmp_path / "other").mkdir()
    other = keys.Box.of(tmp_path / "other")
    path = written(tmp_path, box, [])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def again(parts: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        return path

    forged = msgspec.json.encode(
        contents.Signature(key=box.public, signature=other.sign(parts[contents.LIST]))
    )
    with pytest.raises(Rejected, match="the signature is wrong"):
        read(again({**parts, contents.SIGNATURE: forged}), {box.public})
    unsigned = {name: data for name, data in parts.items() if name != contents.SIGNATURE}
    with pytest.raises(Rejected, match="is not signed"):
        read(again(unsigned), {box.public})
    with pytest.raises(Rejected, match="does not hold what its list says"):
        read(again({**parts, "more": b"x"}), {box.public})
    with pytest.raises(Rejected, match="does not hold what its list says"):
        read(again({n: d for n, d in parts.items() if n != "originals/x"}), {box.public})
    with pytest.raises(Rejected, match="is no collection"):
        read(again({"a": b"b"}), {box.public})


def test_a_newer_file_says_which_andon(tmp_path: Path, box: keys.Box) -> None:
    with pytest.raises(Fatal, match=r"format 2.*install Andon 0\.1\.0 or a newer one"):
        read(written(tmp_path, box, [], version=2), {box.public})


def test_an_original_that_the_disk_changed_is_not_given_away(tmp_path: Path, box: keys.Box) -> None:
    (tmp_path / "o").write_bytes(b"rotten")
    with (
        pytest.raises(Rejected, match="was changed by the disk"),
        file.writing(tmp_path / "x.andon") as writer,
    ):
        writer.file("originals/x", tmp_path / "o", SHA256)
    assert not (tmp_path / "x.andon").exists()
    assert not list(tmp_path.glob(".x*"))


def test_the_key_of_a_box_is_made_once_and_is_its_own(tmp_path: Path, box: keys.Box) -> None:
    path = tmp_path / "data" / "keys" / "box.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.Box.of(tmp_path / "data").public == box.public == keys.known(tmp_path / "data")
    (tmp_path / "new").mkdir()
    assert keys.known(tmp_path / "new") == ""
    path.write_text("nonsense")
    with pytest.raises(Fatal, match="is no key"):
        keys.Box.of(tmp_path / "data")


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "0" * 65])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(AndonError, match="is no key"):
        keys.key_of(text)


def test_a_key_as_people_write_it() -> None:
    assert keys.key_of(" AB:" + "0" * 62 + " \n") == "ab" + "0" * 62
