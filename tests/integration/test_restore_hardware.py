"""A restore on other hardware: the box keeps the profile that was chosen for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from deploy.setup.configure import configuration
from services import restores
from services.backup import finding, restoring
from services.backup.hardware import RESTORED, Fitted, fit, keep
from services.runtime.errors import Retryable
from services.runtime.unfinished import RESTORING
from tests.support.backups import KNOWN, back_up, nothing, tree

pytestmark = pytest.mark.integration


def box(folder: Path, profile: str, more: str = "") -> Path:
    """Return /etc/andon of a box with a profile."""
    folder.mkdir()
    (folder / "config.yaml").write_text(configuration(profile) + more)
    (folder / "profile").write_text(f"{profile}\n")
    (folder / "profile.yaml").write_text(f"box: {{of: {profile}}}\n")
    (folder / "node").write_text("full\n")
    (folder / ".installed").mkdir()
    (folder / ".installed" / "enabled").write_text(f"of {profile}\n")
    (folder / "lexicon").write_text(f"of {profile}\n")
    return folder


def restored(
    tmp_path: Path, etc: Path, *, with_profile: bool = False
) -> tuple[restoring.Restored, dict[str, object]]:
    former = box(tmp_path / "former", "gateway", "log: debug\n")
    values = yaml.safe_load((former / "config.yaml").read_text())
    values["ingest"]["ocr_pages"] = 7  # as a person wants it
    (former / "config.yaml").write_text(yaml.safe_dump(values))
    data = tree(tmp_path / "data")
    back_up(data, tmp_path / "to", etc=former, secrets=True)
    found = finding.find(tmp_path / "to", None)
    finding.fit(found, KNOWN)
    done = restoring.restore(
        found,
        tmp_path / "second",
        etc,
        force=False,
        progress=nothing,
        with_profile=with_profile,
    )
    return done, yaml.safe_load((etc / "config.yaml").read_text())


def test_the_profile_of_the_box_stays(tmp_path: Path) -> None:
    etc = box(tmp_path / "etc", "board-2gb")
    done, config = restored(tmp_path, etc)
    assert done.fitted == Fitted(former="gateway", own="board-2gb", known=True)
    own = yaml.safe_load(configuration("board-2gb"))
    own["ingest"]["ocr_pages"] = 7
    assert config == {**own, "log": "debug"}
    assert "budget_mb" not in config["retriever"]  # type: ignore[operator]
    for name in ("profile", "profile.yaml", ".installed/enabled"):
        assert "board-2gb" in (etc / name).read_text()
    assert (etc / "lexicon").read_text() == "of gateway\n"
    assert yaml.safe_load((etc / RESTORED).read_text())["retriever"]["budget_mb"] == 320


def test_the_same_profile_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    etc = box(tmp_path / "etc", "gateway")
    done, _ = restored(tmp_path, etc)
    assert done.fitted is None
    assert (etc / "config.yaml").read_text() == (tmp_path / "former" / "config.yaml").read_text()
    assert not (etc / RESTORED).exists()


def test_the_profile_of_the_backup_where_it_is_asked_for(tmp_path: Path) -> None:
    etc = box(tmp_path / "etc", "board-2gb")
    done, config = restored(tmp_path, etc, with_profile=True)
    assert done.fitted is None
    assert (etc / "profile").read_text() == "gateway\n"
    assert config["retriever"]["budget_mb"] == 320  # type: ignore[index]


def test_a_folder_without_a_profile_takes_all(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    done, _ = restored(tmp_path, etc)
    assert done.fitted is None
    assert (etc / "profile").read_text() == "gateway\n"


def test_what_a_person_changed_stays() -> None:
    former = {"a": 1, "deep": {"b": 2, "c": 3}, "gone": {"d": 4}}
    own = {"a": 10, "deep": {"b": 20, "new": 5}}
    config = {"a": 1, "deep": {"b": 99, "c": 3, "mine": 6}, "gone": {"d": 4}, "other": {}}
    assert fit(config, former, own) == {
        "a": 10,
        "deep": {"b": 99, "mine": 6, "new": 5},
        "other": {},
    }


def test_a_mapping_where_a_profile_has_a_single_value() -> None:
    assert fit({"a": {"b": 1}, "c": {"d": 2}}, {"a": 3}, {"a": 4, "c": 5}) == {
        "a": {"b": 1},
        "c": {"d": 2},
    }


@pytest.mark.parametrize("former", ["our own line", ""])
def test_a_profile_that_is_not_known_here_is_told_as_such(tmp_path: Path, former: str) -> None:
    """Nothing tells then what of config.yaml is the profile's: all of it comes along."""
    etc = box(tmp_path / "etc", "board-2gb")
    of_backup = box(tmp_path / "of-backup", "gateway")
    (of_backup / "profile").write_text(f"{former}\n")
    fitted = keep(of_backup, etc)
    assert fitted == Fitted(former=former, own="board-2gb", known=False)
    config = yaml.safe_load((of_backup / "config.yaml").read_text())
    assert config["retriever"]["budget_mb"] == 320
    told = restores._of_profiles(fitted)
    assert "budgets are its own" not in told
    assert "came along" in told
    assert former in told


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """The services' user may put it there while root writes, fits and gives away."""
    former = box(tmp_path / "former", "gateway")
    etc = box(tmp_path / "etc", "board-2gb")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "data").mkdir()
    box(theirs / "etc", "gateway")
    held = {path: path.is_file() and path.read_text() for path in theirs.rglob("*")}
    back_up(tree(tmp_path / "data"), tmp_path / "to", etc=former, secrets=True)
    second = tmp_path / "second"
    second.mkdir()
    os.chown(second, 12_345 if os.geteuid() == 0 else -1, -1)

    def swap(_name: str, done: int, total: int) -> None:
        if done == total:
            (second / RESTORING).rename(second / "taken")
            (second / RESTORING).symlink_to(theirs)

    found = finding.find(tmp_path / "to", None)
    with pytest.raises(Retryable, match="somebody put another one in its place"):
        restoring.restore(found, second, etc, force=False, progress=swap)
    assert held == {path: path.is_file() and path.read_text() for path in theirs.rglob("*")}
    assert {path.stat().st_uid for path in theirs.rglob("*")} == {os.geteuid()}
    assert yaml.safe_load((etc / "config.yaml").read_text()) == yaml.safe_load(
        configuration("board-2gb")
    )
