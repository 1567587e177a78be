"""Folders of the inbox that are rather away than emptied."""

from __future__ import annotations

import pytest

from services.ingest.absence import away

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("missing", "there", "folders", "lost", "found"),
    [
        (["a/x", "a/y"], [], ["a"], [], ["a"]),
        (["a/x", "a/b/y"], ["c"], ["a"], [], ["a"]),
        (["a/b/x", "a/b/y"], [], ["a", "a/b"], [], ["a"]),
        (["a/b/x", "a/b/y"], ["a/z"], ["a", "a/b"], [], ["a/b"]),
        # One file, files among others, a folder that was deleted, the inbox itself.
        (["a/x"], [], ["a"], [], []),
        (["a/x", "a/y"], ["a/z"], ["a"], [], []),
        (["a/x", "a/y"], ["aa"], [], [], []),
        (["x", "y"], [], [], [], []),
        # A mount point that is none any more tells by itself.
        (["a/x"], [], ["a"], ["a"], ["a"]),
        (["a/x"], ["a/not mounted"], ["a"], ["a"], ["a"]),
        (["a/x"], [], [], ["a"], []),
        ([], [], ["a"], ["a"], []),
    ],
)
def test_which_they_are(
    missing: list[str], there: list[str], folders: list[str], lost: list[str], found: list[str]
) -> None:
    assert away(missing, there, folders, lost) == found
