"""One fault as a table row or an entry of the manual defines it."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.answers import Language
from schemas.retrieval import Field, Hit, Passage
from services.orchestrator.columns import Role, is_grade, language_of_header, role_of
from services.orchestrator.cues import is_action, is_demand, is_statement
from services.orchestrator.items import is_counted, items, unwrapped
from services.orchestrator.language import part_in

_MARKUP = "*_`'\" \t\n\r\v\f\u00a0\u3000"
_CODE_CELL = re.compile(r"[A-Z]{0,6}[-._ ]?[A-Z]{0,3}[-._ ]?\d{1,6}[A-Z]?|[A-Z]{2,4}\d?")
_WORD = re.compile(r"\$?[A-Za-z0-9][A-Za-z0-9._-]*|\$[$#]")
_OTHER = re.compile(r"[^\w$]+|_+")
_LISTED: tuple[Role, ...] = ("cause", "action")
_BESIDE: tuple[Role, ...] = ("grade", "other")
_LONGEST_ROW = 160
"""Characters of a row without headers that is given as it is."""

# Where a page in reStructuredText has a picture.
_PICTURE = re.compile(r"\|(?:image|img|icon|logo)[\w-]{0,20}\|", re.IGNORECASE)
# What follows such a label explains the fault; it is neither a cause nor a thing to do.
_ASIDE = re.compile(
    r"(?:notes?|notice|see also|(?:fault|alarm|message) value|注|注意|备注|说明|另见|参见|提示)"
    r"\s*(?:\([^)]*\)|(?:on|regarding|about|concerning|for)\s[^:：.]{1,60})?\s*[:：]",
    re.IGNORECASE,
)
# A label that leads back to causes and remedies after a note, or stands at their head.
_LABEL = re.compile(
    r"(?:(?:possible|probable) )?(?:causes?|remed\w+|reasons?)[ \t]*[:：][ \t]*"
    r"|(?:可能|故障)?(?:的)?原因[:：][ \t]*|处理(?:方法|办法)?[:：][ \t]*",
    re.IGNORECASE,
)

_PREFIX = {"ER": "ERR", "ERROR": "ERR", "ALM": "AL", "ALARM": "AL"}
"""Prefixes that are written for others."""
_DISPLAYS = ("E", "AL")
"""What displays put before the name of a fault: `E.OC1` is `OC1`."""
# `CU240B-2`, `PM250, PM260`
_DEVICES = re.compile(r"(?:(?=[^,;/]*\d)[A-Z]{2,}[A-Z0-9_-]{2,}\s*(?:[,;/]\s*|$))+")
_DIGITS = str.maketrans("OIL", "011")
"""Letters that are typed for digits."""
_HEX = re.compile(r"0X([0-9A-F]+)|(\d[0-9A-F]*)H")


@dataclass(frozen=True, slots=True)
class Definition:
    """What a row or an entry says of one fault; empty where it says nothing."""

    code: str
    """The code as printed, several where the row has several."""
    name: str
    """What the fault is called."""
    meaning: str
    """The longer description, where there is one beside the name."""
    description: str
    """The same with its lines as they are."""
    causes: list[str]
    """Causes in the manual's order and words."""
    actions: list[str]
    """What to do, in the manual's order and words."""
    counted: frozenset[Role]
    """Of `cause` and `action`, what the manual numbers."""
    reaction: str
    """What the machine does by itself."""
    asides: list[str]
    """Notes that stood among causes and remedies."""
    rest: list[Field]
    """Columns of other matters."""


def define(passage: Passage, *, code: str, lang: Language) -> Definition:
    """Read a row or an entry.

    Args:
        passage: A passage with fields.
        code: The code that was asked for, empty when none was; tells the code's column.
        lang: Which columns to take where a row has both languages.
    """
    fields = [Field(field.name, _PICTURE.sub("", field.value).strip()) for field in passage.fields]
    roles = _roles(fields, code)
    by_role: dict[Role, list[Field]] = defaultdict(list)
    for field, role in zip(fields, roles, strict=True):
        if field.value:
            by_role[role].append(field)
    names = _in_parts(_one_language(by_role["name"], lang), lang)
    meanings = _in_parts(_one_language(by_role["meaning"], lang), lang)
    if not names:
        names, meanings = meanings[:1], meanings[1:]
    causes, cause_asides = _split(_in_parts(_one_language(by_role["cause"], lang), lang))
    actions, action_asides = _split(_in_parts(_one_language(by_role["action"], lang), lang))
    if not {"action", "both"} & set(roles):
        # The column of causes is then that of all there is to say: `Check the supply.`
        actions = [item for item in causes if is_demand(item)]
        causes = [item for item in causes if not is_demand(item)]
    elif not {"cause", "both"} & set(roles) and all(map(is_statement, actions)):
        # `Solution: The fuse is blown.` says what is wrong.
        causes, actions = actions, []
    for item in _led(_all_items(_one_language(by_role["both"], lang))):
        (actions if is_action(item) else causes).append(item)
    return Definition(
        code=" / ".join(plain(field.value) for field in by_role["code"][:1]),
        name=" / ".join(plain(unwrapped(field.value)) for field in names),
        meaning=" ".join(plain(unwrapped(field.value)) for field in meanings),
        description="\n".join(field.value for field in meanings),
        causes=causes,
        actions=actions,
        counted=frozenset(role for role in _LISTED if _counts(by_role[role])),
        reaction=" ".join(unwrapped(f.value) for f in _one_language(by_role["reaction"], lang)),
        asides=cause_asides + [one for one in action_asides if one not in cause_asides],
        rest=_without_devices(
            [f for f, role in zip(fields, roles, strict=True) if f.value and role in _BESIDE]
        ),
    )


def _without_devices(fields: list[Field]) -> list[Field]:
    """Leave out what a table prints above its columns: the devices that have the parameter."""
    if not any(field.name for field in fields):
        return fields
    return [field for field in fields if field.name or not _DEVICES.fullmatch(field.value)]


def plain(text: str) -> str:
    """Take Markdown's emphasis and white space off the ends of a cell that has more than these."""
    return text.strip(_MARKUP) or text.strip()


def canonical(code: str) -> str:
    """Return a code's one spelling: `E.OC1`, `e-oc1` and `EOC1` are the same."""
    return _OTHER.sub("", unicodedata.normalize("NFKC", code).upper())


def printed_as(code: str, cell: str) -> str:
    """Return how a manual prints the code that was asked for; as asked where it does not.

    Args:
        code: as asked, `30021`.
        cell: what stands where the code does, `F30021`, or `F30021 / F30022`.
    """
    asked = canonical(code)
    for word in (plain(cell), *words_of(cell)):
        spelled = canonical(word)
        letters = any(c.isalpha() for c in word) or asked.isdigit()
        if _CODE_CELL.fullmatch(word.upper()) and letters and is_same(spelled, asked):
            return word
    return code


def is_of_another_code(passage: Passage, code: str) -> bool:
    """Return whether a passage found by a code is plainly about another than the one asked for.

    Leading zeros, letters that one of the two leaves out, and an O for a zero make no other code; a
    cell with several codes or a range is given the benefit of the doubt.
    """
    asked = canonical(code)
    fields = passage.fields
    if not fields:
        words = words_of(passage.text)
        spelled = any(is_same(canonical(word), asked) for word in words)
        return not spelled and asked not in canonical(passage.text)
    for field, role in zip(fields, _roles(fields, code), strict=True):
        cell = plain(field.value)
        if role != "code" or not cell:
            continue
        return bool(_CODE_CELL.fullmatch(cell.upper())) and not is_same(canonical(cell), asked)
    return False


def words_of(text: str) -> list[str]:
    """Return what in a text may be a code."""
    return _WORD.findall(text)


def is_long(hit: Hit) -> bool:
    """Return whether a row is a page of text in cells: no header says what is what."""
    fields = [field for field in hit.passage.fields if field.value.strip()]
    known = any(role not in ("other", "number", "grade") for role in _roles(fields, ""))
    return not known and sum(len(field.value) for field in fields) > _LONGEST_ROW


def names(passage: Passage, code: str) -> bool:
    """Return whether a passage has a code among its words, however it is spelled there."""
    asked = canonical(code)
    if not asked or asked not in canonical(passage.text):
        return False
    return asked in map(canonical, words_of(passage.text))


def is_same(one: str, other: str) -> bool:
    """Return whether two canonical spellings are of one code."""
    if one == other:
        return True
    if not (re.search(r"\d", one) and re.search(r"\d", other)):
        return bool({one, other} & {f"E{one}", f"E{other}"})
    if one.translate(_DIGITS) == other.translate(_DIGITS):
        return True
    pairs = [
        (_PREFIX.get(letters, letters), number) for letters, number in map(_parts, (one, other))
    ]
    (letters, number), (others, numbers) = pairs
    if number != numbers:
        return False
    shown = {f"{display}{name}" for display in _DISPLAYS for name in (letters, others) if name}
    return letters == others or not letters or not others or bool({letters, others} & shown)


def _parts(code: str) -> tuple[str, str]:
    """Return a code's letters, and its digits without leading zeros; a hexadecimal one has none."""
    if match := _HEX.fullmatch(code):
        return "", (match[1] or match[2]).lstrip("0")
    return re.sub(r"\d", "", code), re.sub(r"\D", "", code).lstrip("0")


def _roles(fields: Sequence[Field], code: str) -> list[Role]:
    """Return each field's role: by its header, and for the code also by its value."""
    cells = [plain(field.value) for field in fields]
    by_header = [role_of(field.name) for field in fields]
    named = bool({"name", "meaning"} & set(by_header))
    roles = [_role(role, cell, named=named) for role, cell in zip(by_header, cells, strict=True)]
    if "code" in roles:
        return roles
    asked = canonical(code)
    places = [place for place, role in enumerate(roles) if role in ("name", "number", "other")]
    asked_for = [place for place in places if asked and canonical(cells[place]) == asked]
    code_like = [
        place
        for place in places
        if roles[place] != "number"
        and re.search(r"\d", cells[place])
        and _CODE_CELL.fullmatch(cells[place])
        and (place == 0 or fields[place].name)
    ]
    for place in (asked_for + code_like)[:1]:
        roles[place] = "code"
    return roles


def _role(role: Role, cell: str, *, named: bool) -> Role:
    """Return what a cell is, by its column and itself: what counts the rows holds no words.

    Args:
        role: of the column.
        cell: what stands there.
        named: another column has the name.
    """
    if role == "name" and is_grade(cell):
        return "grade"
    if role != "number" or sum(character.isalpha() for character in cell) < 4:
        return role
    return "other" if named else "name"


def _one_language(fields: list[Field], lang: Language) -> list[Field]:
    """Return the fields in the language wanted where a row says the same in two, else all."""
    languages = [language_of_header(field.name, field.value) for field in fields]
    if len(set(languages)) < 2:
        return fields
    return [field for field, spoken in zip(fields, languages, strict=True) if spoken == lang]


def _in_parts(fields: list[Field], lang: Language) -> list[Field]:
    """Return the fields without what each line says once more in the other language."""
    return [
        Field(f.name, "\n".join(part_in(line, lang) for line in f.value.split("\n")))
        for f in fields
    ]


def _all_items(fields: list[Field]) -> list[str]:
    return [item for field in fields for item in items(field.value)]


def _counts(fields: list[Field]) -> bool:
    return len(fields) == 1 and is_counted(fields[0].value)


def _split(fields: list[Field]) -> tuple[list[str], list[str]]:
    """Return the items, and apart from them the notes that stand among them."""
    kept: list[str] = []
    asides: list[str] = []
    for field in fields:
        aside = False
        for item in items(field.value):
            if _ASIDE.match(item):
                aside = True
            label = _LABEL.match(item)
            if label:
                aside = False
            words = item[label.end() :] if label else item
            if words:
                (asides if aside else kept).append(words)
    # A cell of nothing but notes has its causes there.
    return (_led(kept), asides) if kept else (_led(asides), [])


def _led(entries: list[str]) -> list[str]:
    """Return items, a line that only announces others put before the first of these."""
    led: list[str] = []
    ahead = ""
    for entry in entries:
        whole = unwrapped(f"{ahead}\n{entry}") if ahead else entry
        ahead = whole if whole[-1] in ":：" else ""
        if not ahead:
            led.append(whole)
    return [*led, ahead] if ahead else led
