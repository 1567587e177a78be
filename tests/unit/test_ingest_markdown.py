"""Markdown that would take its parser far too long."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown import Markdown, markdown

from services.ingest.partition import html
from services.ingest.partition.markdown import BoundedLinks, bounded, collapsed, parted

pytestmark = pytest.mark.unit

LINES = st.lists(st.sampled_from(["", "", " ", "\t", "x", "    code", "- a", "| a |", "# A"]))


def texts(folder: Path, text: str) -> list[str]:
    path = folder / "a.md"
    path.write_text(text, encoding="utf-8", newline="")
    found = html.read_markdown(path, lambda _done, _total: None).elements
    return [element.text for element in found]


@given(LINES, st.sampled_from(["\n", "\r\n", "\r"]))
def test_blank_lines_are_collapsed_and_nothing_else(lines: list[str], end: str) -> None:
    text = collapsed(end.join(lines))
    assert not re.search(r"\n[ \t]*\n[ \t]*\n", text)
    kept = [line for line in text.split("\n") if line.strip()]
    assert kept == [line for line in lines if line.strip()]
    assert collapsed(text) == text


@given(st.lists(st.sampled_from(["x", "- a", "# A", "    code", "| a |", ""]), max_size=12))
def test_two_blank_lines_mean_what_one_does(lines: list[str]) -> None:
    one, two = "\n\n".join(lines), "\n\n\n \n".join(lines)
    space = re.compile(r"\s+")
    assert space.sub("", markdown(collapsed(two))) == space.sub("", markdown(one))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n \t"])
def test_a_million_blank_lines_are_read(tmp_path: Path, end: str) -> None:
    many = f"# Faults\n\nE1 is bad.{end * 1_000_000}\n\nE2 is worse.\n"
    assert len(collapsed(many)) < 60
    assert texts(tmp_path, many) == ["Faults", "E1 is bad.", "E2 is worse."]


@pytest.mark.parametrize(
    "text",
    [
        "see [the *manual*](/a_(b) 'title') and ![a plate](a.png), then [it][1]\n\n[1]: /it\n",
        f"![plate](data:image/png;base64,{'iVBORw0K' * 5000} 'a title') follows\n",
        "no [link](/a\nand [another](/b) one ![x] [y][\n",
        "[" * 50,
    ],
)
def test_bounded_links_are_the_same_links(text: str) -> None:
    assert markdown(text, extensions=[BoundedLinks()]) == markdown(text)


def test_every_kind_of_link_looks_so_far_only() -> None:
    looked: list[int] = []

    def find(data: str, index: int) -> tuple[str, int, bool]:
        looked.append(len(data) - index)
        return "", len(data), False

    assert bounded(find)("x" * 9_000, 5_000) == ("", 6_000, False)
    assert bounded(find, re.compile("x*"))("x" * 2_000 + " " * 9_000, 500) == ("", 3_000, False)
    assert looked == [1_000, 2_500]
    parser = Markdown(extensions=[BoundedLinks()])
    kinds = [pattern for pattern in parser.inlinePatterns if hasattr(pattern, "getText")]
    assert len(kinds) == 6
    for pattern in kinds:
        assert pattern.getText("a" * 5_000 + "]", 0)[-1] is False
        assert pattern.getText("a" * 500 + "]", 0) == ("a" * 500, 501, True)


def test_brackets_without_end_are_text(tmp_path: Path) -> None:
    many = "[a](/b\n" * 5_000
    assert texts(tmp_path, many) == [" ".join(many.split())]


def test_lists_and_labels_right_below_a_line_are_no_part_of_it(tmp_path: Path) -> None:
    text = (
        "## K07 - Drum jammed\n"
        "**Description**: The drum does not turn\n"
        "**Typical Causes:**\n"
        "- Lint in the gap\n"
        "- Worn bearing\n"
        "**Immediate Action**:\n"
        "1. Stop the machine\n"
        "2. Clean the gap\n"
        "   with a brush\n"
    )
    assert texts(tmp_path, text) == [
        "K07 - Drum jammed",
        "Description: The drum does not turn",
        "Typical Causes:",
        "Lint in the gap",
        "Worn bearing",
        "Immediate Action:",
        "Stop the machine",
        "Clean the gap with a brush",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "```\nx\n- a\n**b**: c\n```\n",
        "~~~\nx\n- a\n```\n- b\n~~~\n",
        "- a\n- b\n  1. c\n",
        "words\n- \n-c\n2. d\n-1 V\n",
        "a **b**: c\n**bold** words\n",
        "| a |\n|---|\n- x\n",
        "# A\n- a\n",
    ],
)
def test_code_lists_tables_and_words_are_left_as_they_are(text: str) -> None:
    assert parted(text) == text


@given(LINES)
def test_nothing_but_blank_lines_is_added(lines: list[str]) -> None:
    found = parted("\n".join(lines)).split("\n")
    assert [line for line in found if line.strip()] == [line for line in lines if line.strip()]
    assert parted("\n".join(found)).split("\n") == found
