"""Topic filters, put together level by level (pure)."""

from __future__ import annotations


def meet(one: str, other: str) -> str | None:
    """Return the filter of the topics that match both; None where there are none."""
    if any(a[:1] in {"+", "#"} and b.startswith("$") for a, b in ((one, other), (other, one))):
        return None
    found = _meet(one.split("/"), other.split("/"))
    # `+` and `/#` have but the empty topic in common, which is none.
    return "/".join(found) or None if found else None


def _meet(one: list[str], other: list[str]) -> list[str] | None:
    levels: list[str] = []
    for at in range(max(len(one), len(other))):
        # `#` stands for any number of levels, none as well: a/# has the topic a.
        if one[at : at + 1] == ["#"]:
            return levels + other[at:]
        if other[at : at + 1] == ["#"]:
            return levels + one[at:]
        if at >= len(one) or at >= len(other):
            return None
        if "+" not in {one[at], other[at]} and one[at] != other[at]:
            return None
        levels.append(other[at] if one[at] == "+" else one[at])
    return levels
