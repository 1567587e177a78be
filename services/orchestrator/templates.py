"""Prompt templates: a small part of Jinja2, checked when one is saved, rendered for each answer.

A template has two blocks. `system` is the same for every request, so that the model's server reads
it once; `question` may use `VARIABLES`. Allowed are text, comments, `{{ variable | filter }}` and
`{% if %}` with comparisons: no loops, calls or arithmetic, so that what comes out is never much
longer than what went in. Jinja2 itself is loaded with the first template.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from schemas.answers import Language
from services.runtime.errors import Rejected

if TYPE_CHECKING:
    from jinja2 import Environment, nodes

VARIABLES: dict[str, int] = {
    "question": 4_000,  # never empty
    "code": 200,
    "text": 4_000,  # the machine's own words
    "asset": 300,
    "occurrences": 20,  # a number: reports of the alarm so far
}
"""What the block `question` may use, with the longest it gets, characters; empty where there is
none."""
_ASKS = ("question", "code", "text")
"""Without any of them the model would not know what the fault or the question is."""
FILTERS = ("capitalize", "default", "length", "lower", "title", "trim", "truncate", "upper")
BLOCKS = ("system", "question")
LONGEST_TEMPLATE = 16_000
"""Characters."""
LONGEST_PART = 12_000
"""Characters a block may come to."""
_DEEPEST = 40
_Values = Mapping[str, str | int]


class Template:
    """A template that was read and found right."""

    def __init__(self, source: str) -> None:
        """Read and check a template.

        Raises:
            Rejected: something is wrong; says on which line, and what is allowed.
        """
        self.source = source
        self.digest = digest(source)
        if len(source) > LONGEST_TEMPLATE:
            raise _wrong(f"it has {len(source)} characters", f"at most {LONGEST_TEMPLATE}")
        self.uses, self._render = _compiled(source)
        self.system = self._part("system", {})
        if not self.system:
            raise _wrong("block system comes to nothing", "say what the model shall do")
        for example in _EXAMPLES:
            self.question(example)
        if self.uses.isdisjoint(_ASKS):
            raise _wrong(
                "block question does not say what is asked",
                f"it needs {{{{ question }}}}, or one of {', '.join(_ASKS[1:])}",
            )

    def question(self, values: _Values) -> str:
        """Return the block `question` with these values.

        Args:
            values: by name, one for each of `VARIABLES`.

        Raises:
            Rejected: it comes to nothing or to too much, or a value has no such use.
        """
        cut = {n: v[: VARIABLES[n]] if isinstance(v, str) else v for n, v in values.items()}
        part = self._part("question", cut)
        if not part:
            raise _wrong("block question comes to nothing", "it may use {{ question }}")
        return part

    def _part(self, block: str, values: _Values) -> str:
        pieces, length = [], 0
        try:
            for piece in self._render(block, values):
                length += len(piece)
                if length > LONGEST_PART:
                    raise _wrong(
                        f"block {block} comes to more than {LONGEST_PART} characters",
                        "say it more briefly",
                    )
                pieces.append(piece)
        except (
            ArithmeticError,
            AssertionError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:
            # What Jinja2 lets a filter or a comparison of the wrong kind raise; `truncate` asserts.
            raise _wrong(f"block {block}: {error}", "compare text with text") from error
        return "".join(pieces).strip()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A version of a prompt, ready to be used."""

    name: str
    """`fault.en`."""
    version: int
    """0 for the file that ships, -1 for a text that is not saved."""
    template: Template

    @property
    def ref(self) -> str:
        """Return how answers name it, `fault.en@3`."""
        return f"{self.name}@{self.version}" if self.version >= 0 else self.name

    @property
    def lang(self) -> Language:
        """Return the language it asks for."""
        return "zh" if self.name.endswith(".zh") else "en"


def digest(source: str) -> str:
    """Return by what a template's text is known: SHA-256, hexadecimal."""
    return hashlib.sha256(source.encode()).hexdigest()


_LONGEST: dict[str, str | int] = {
    **{name: "x" * longest for name, longest in VARIABLES.items()},
    "occurrences": 10**9,
}
_SHORTEST: dict[str, str | int] = {**dict.fromkeys(VARIABLES, ""), "question": "?"}
_EXAMPLES = (_LONGEST, {**_SHORTEST, "occurrences": 1})
"""A template is tried with these when it is read."""


def _wrong(reason: str, hint: str, line: int = 0) -> Rejected:
    return Rejected("read the template", f"line {line}: {reason}" if line else reason, hint)


@cache
def _environment() -> Environment:
    from jinja2 import StrictUndefined  # noqa: PLC0415
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, loader=None)
    made.filters = {name: made.filters[name] for name in FILTERS}
    made.tests.clear()
    made.globals.clear()
    return made


def _compiled(
    source: str,
) -> tuple[frozenset[str], Callable[[str, _Values], Iterator[str]]]:
    """Return the variables a template uses, and what renders one of its blocks.

    Raises:
        Rejected: it is not what a template may be.
    """
    from jinja2 import TemplateSyntaxError, UndefinedError  # noqa: PLC0415
    from jinja2.exceptions import SecurityError  # noqa: PLC0415

    environment = _environment()
    try:
        tree = environment.parse(source)
        uses = _checked(tree)
        template = environment.from_string(tree)
    except TemplateSyntaxError as error:
        raise _wrong(error.message or "not a template", _ALLOWED, error.lineno) from error
    except (RecursionError, SyntaxError, MemoryError) as error:
        raise _wrong("it is nested too deeply", "use fewer brackets and ifs") from error

    def render(block: str, values: _Values) -> Iterator[str]:
        try:
            yield from template.blocks[block](template.new_context(dict(values)))
        except (UndefinedError, SecurityError) as error:
            raise _wrong(f"block {block}: {error}", _ALLOWED) from error

    return uses, render


_ALLOWED = (
    "allowed are text, {# comments #}, {{ variables }} with filters "
    f"({', '.join(FILTERS)}), and {{% if %}} with comparisons"
)
_KNOWN = f"allowed are {', '.join(VARIABLES)}"

_CALLED = {
    "Getattr": "`.` behind a value",
    "Getitem": "`[` behind a value",
    "Call": "a call",
    "For": "a loop",
    "Assign": "set",
    "AssignBlock": "set",
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Neg"), "arithmetic"),
}
"""What people call the parts of the language that are not allowed."""


def _checked(tree: nodes.Template) -> frozenset[str]:
    """Return the variables of the block `question`. Raises Rejected."""
    from jinja2 import nodes  # noqa: PLC0415

    found: dict[str, nodes.Block] = {}
    for node in tree.body:
        if isinstance(node, nodes.Block):
            if node.name not in BLOCKS:
                raise _wrong(f"unknown block {node.name}", f"allowed: {_and(BLOCKS)}", node.lineno)
            found[node.name] = node
        elif line := _stray(node):
            raise _wrong("something outside of the blocks", f"blocks: {_and(BLOCKS)}", line)
    if missing := [name for name in BLOCKS if name not in found]:
        raise _wrong(
            f"block {_and(missing)} is missing", f"{{% block {missing[0]} %}} … {{% endblock %}}"
        )
    names = {block: set(_names(node, 0)) for block, node in found.items()}
    for name, line in sorted(names["system"], key=lambda one: one[1]):
        raise _wrong(
            f"{name} in block system",
            "it is the same for every request; block question may use variables",
            line,
        )
    for name, line in sorted(names["question"], key=lambda one: one[1]):
        if name not in VARIABLES:
            raise _wrong(f"unknown variable {name}", _KNOWN, line)
    return frozenset(name for name, _ in names["question"])


def _names(block: nodes.Node, depth: int) -> Iterator[tuple[str, int]]:
    """Yield the variables below a node with their lines. Raises Rejected."""
    from jinja2 import nodes  # noqa: PLC0415

    allowed = (
        nodes.Output,
        nodes.TemplateData,
        nodes.Name,
        nodes.Const,
        nodes.If,
        nodes.CondExpr,
        nodes.Compare,
        nodes.Operand,
        nodes.And,
        nodes.Or,
        nodes.Not,
        nodes.Filter,
        nodes.Keyword,
    )
    for node in block.iter_child_nodes():
        if not isinstance(node, allowed):
            kind = type(node).__name__
            raise _wrong(f"{_CALLED.get(kind, kind.lower())} is not allowed", _ALLOWED, node.lineno)
        if depth > _DEEPEST:
            raise _wrong("it is nested too deeply", "use fewer brackets and ifs", node.lineno)
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise _wrong(f"unknown filter {node.name}", f"allowed: {_and(FILTERS)}", node.lineno)
        if isinstance(node, nodes.Name):
            yield node.name, node.lineno
        yield from _names(node, depth + 1)


def _stray(node: nodes.Node) -> int:
    """Return the line of what is more than white space, 0 where nothing is."""
    from jinja2 import nodes  # noqa: PLC0415

    parts: Iterable[nodes.Node] = node.nodes if isinstance(node, nodes.Output) else [node]
    for part in parts:
        if not isinstance(part, nodes.TemplateData):
            return part.lineno
        if text := part.data.strip():
            return part.lineno + part.data[: part.data.index(text)].count("\n")
    return 0


def _and(names: Iterable[str]) -> str:
    return ", ".join(names)
