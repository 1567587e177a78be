"""A restore on other hardware: the box keeps the profile that was chosen for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deploy.setup.configure import configuration
from services.backup import finding, restoring
from services.backup.hardware import RESTORED, fit
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
    assert done.fitted == "gateway board-2gb"
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
    assert done.fitted == ""
    assert (etc / "config.yaml").read_text() == (tmp_path / "former" / "config.yaml").read_text()
    assert not (etc / RESTORED).exists()


def test_the_profile_of_the_backup_where_it_is_asked_for(tmp_path: Path) -> None:
    etc = box(tmp_path / "etc", "board-2gb")
    done, config = restored(tmp_path, etc, with_profile=True)
    assert done.fitted == ""
    assert (etc / "profile").read_text() == "gateway\n"
    assert config["retriever"]["budget_mb"] == 320  # type: ignore[index]


def test_a_folder_without_a_profile_takes_all(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    done, _ = restored(tmp_path, etc)
    assert done.fitted == ""
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
