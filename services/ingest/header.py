"""Which rows of a table name its columns (pure)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.ingest.tables import GridCell

_KNOWN = re.compile(
    r"""(?ix) ^(?:
    (?:fault|alarm|error|warning|display|event|message|status)?[ _/-]*(?:code|no\.?|number|id)s?
    | fault | alarm | error | warning | name | title | description | meaning | message | function
    | (?:possible|probable)?[ ]*(?:cause|reason)s? | remed(?:y|ies) | (?:corrective)?[ ]*actions?
    | solutions? | counter-?measures? | troubleshooting | what[ ]to[ ]do | check | symptoms? | type
    | parameters? | item | items | units? | range | (?:setting|value)[ ]?range | default
    | factory[ ]?(?:setting|value|default) | min\.? | max\.? | minimum | maximum | value | values
    | terminal | pin | signal | data[ ]?type | address | register | bytes? | bits? | notes?
    | remarks? | comments? | explanation | content | contents | model | specification | command
    | status | state | symbol | data | display | step | mode | connector
    | setting | settings | severity | level | class | reset | part | quantity | qty\.? | from | to
    | (?:故障|报警|错误|告警|参数|功能|显示|事件)?
      (?:代码|编号|号|码|序号|名称|类型|描述|说明|内容|现象)
    | 故障 | 报警 | (?:可能|故障)?(?:的)?原因
    | (?:故障)?(?:处理|对策|措施|排除)(?:方法|措施|对策|办法)? | 解决(?:方法|办法|方案|措施)
    | 参数 | 单位 | (?:设定|设置|取值)?范围 | (?:默认|出厂|缺省|初始)(?:值|设定)? | 最小值?
    | 最大值? | 项目 | 备注 | 规格 | 数量 | 地址 | 数据类型? | 功能 | 定义 | 引脚 | 端子 | 信号
    | 型号 | 命令 | 状态 | 步骤 | 引脚号 | 连接器 | 状态位 | 起始位
    )$"""
)
_LAST_KNOWN = re.compile(
    r"(?i)\b(?:descriptions?|settings?|meanings?|explanations?|names?|values?|range|results?"
    r"|functions?|remarks?|notes?)$|(?:内容|说明|描述|含义|名称|功能|备注|范围|定义|方法|原因)$"
)
"""What the name of a column may end with, that of a row seldom does."""
_COUNTED = re.compile(r"([A-Za-z]{0,8}|[\u4e00-\u9fff]{0,4})[ _]?(\d{1,3})(?:\s?[-~～…].{0,12})?")
"""A name with a number, or a number; or the first of several."""
_NUMBERED = re.compile(r"(?i)(?:byte|word|reg|ch|data)s?\s?\d")
_VALUE = re.compile(r"(?i)[-+±]?(?:0x)?\d[\da-f.,]*h?\s*[%°℃Ωµa-z/]{0,5}")
"""A number, perhaps with a unit."""
_SOME = 3
"""Numbers in a row that are no chance."""
_DEEPEST = 3
"""Rows of a header at most."""
_DIGIT = re.compile(r"\d")
_NOISE = re.compile(r"[\s:：*]+")


def same(header: list[str], cells: list[str]) -> bool:
    """Return whether a row repeats the header."""
    return [key(text) for text in header] == [key(text) for text in cells]


def looks_like(cells: list[str]) -> bool:
    """Return whether most texts of a row are words that head columns."""
    filled = [_key_words(cell) for cell in cells if cell.strip()]
    known = sum(1 for cell in filled if _KNOWN.match(cell))
    return len(filled) >= 2 and known >= max(2, len(filled) // 2)


def may_be(cells: list[str]) -> bool:
    """Return whether a row without any below it may head columns: names, or a count, no values."""
    filled = [cell for cell in cells if cell.strip()]
    return len(filled) >= 2 and (
        _counted(cells) is not None or not any(map(_VALUE.fullmatch, filled))
    )


def depth(grid: list[list[GridCell | None]], cells: list[list[str]]) -> int:
    """Return how many of the first rows name the columns.

    Args:
        grid: The cells as drawn.
        cells: Their texts, what spans several rows and columns in each of them.
    """
    if len(cells) < 2:
        return 0
    reach = _reach(grid)
    deep = 1 < reach < len(cells)
    if deep and _is_built(grid[0], cells[reach - 1]):
        return reach
    if not _heads(grid, cells):
        return 0
    if deep:
        return reach
    first = [cell for cell in grid[0] if cell]
    split = any(cell.columns > 1 for cell in first) and any(cell.rows == 2 for cell in first)
    if split and len(cells) > 2 and not any(_DIGIT.search(c) for c in cells[1][1:]):
        return 2
    return 1


def _reach(grid: list[list[GridCell | None]]) -> int:
    """Return the rows of a header whose names each reach down it all, or over several columns."""
    first = [cell for cell in grid[0] if cell]
    reach = max((cell.rows for cell in first), default=1)
    deep = all(cell.rows == reach or cell.columns > 1 for cell in first)
    return reach if deep and reach <= _DEEPEST and any(c.columns > 1 for c in first) else 1


def _is_built(row: list[GridCell | None], below: list[str]) -> bool:
    """Return whether such a first row is a header whatever its words: several names, no value."""
    texts = [cell.text.strip() for cell in row if cell]
    if not all(texts) or any(_VALUE.fullmatch(text) for text in texts):
        return False
    named = all(below) and len(set(below)) == len(below) >= 3
    return named or len(texts) >= 3


def _heads(grid: list[list[GridCell | None]], cells: list[list[str]]) -> bool:
    """Return whether the first row names the columns."""
    first = [cell for cell in cells[0] if cell]
    if len(first) < 2 or len(set(first)) < 2 or max(len(_key_words(c)) for c in first) > 60:
        return False
    if looks_like(cells[0]) or _stands_out(grid):
        return True
    if _names_its_columns(cells) or _counts(grid, cells) or _recurs(cells) or _numbers_rows(cells):
        return True
    if any(map(_has_number, cells[0])) or _COUNTED.fullmatch(cells[0][0]):
        return False
    if len(first) < 0.6 * len(cells[0]):
        return False
    return _names_its_last(cells) or _body_differs(cells[0], cells[1:])


def _stands_out(grid: list[list[GridCell | None]]) -> bool:
    """Return whether the first row is bold, and not the second."""
    bold = [cell.bold for cell in grid[0] if cell and cell.text]
    below = [cell.bold for cell in grid[1] if cell and cell.text]
    return bool(bold) and all(bold) and not all(below or [True])


def _numbers_rows(cells: list[list[str]]) -> bool:
    """Return whether the rows below the first are numbered from 1 or 0 on, and it has a name."""
    numbers = [row[0].strip(" .") for row in cells[1:]]
    if not cells[0][0] or _DIGIT.search(cells[0][0]) or len(numbers) < _SOME:
        return False
    first = int(numbers[0] == "1")
    return numbers == [str(number) for number in range(first, first + len(numbers))]


def _has_number(cell: str) -> bool:
    """Return whether a cell has other digits than a column's name: `byte 4`, `Length (1 byte)`."""
    return bool(_DIGIT.search(_key_words(cell))) and not _NUMBERED.match(cell)


def _counts(grid: list[list[GridCell | None]], cells: list[list[str]]) -> bool:
    """Return whether the first row alone counts: `byte1 | byte2 | byte3`, `Bit | 7 | 6 | 5 | 4`.

    What is counted stands below: not so in a drawing's title block, under the zones of the sheet.
    """
    body = [row for row in cells[1:] if any(row)]
    counted = _counted(cells[0])
    if not body or counted is None or counted in map(_counted, body):
        return False
    return max(sum(1 for cell in row if cell) for row in grid[1:]) >= 0.5 * len(cells[0])


def _counted(row: list[str]) -> str | None:
    """Return what a row counts: `byte`, or nothing but numbers; None for one that does not."""
    found = [_COUNTED.fullmatch(cell) for cell in row if cell]
    named = [(match[1].strip().casefold(), int(match[2])) for match in found if match]
    usual = max((name for name, _ in named), key=[n for n, _ in named].count, default="")
    numbers = [number for name, number in named if name == usual]
    others = [cell for cell, match in zip(filter(None, row), found, strict=True) if not match]
    share = 0.5 if any(map(_DIGIT.search, others)) else 0.35
    if len(numbers) < 2 or len(numbers) < share * len(found):
        return None
    steps = {two - one for one, two in pairwise(numbers)}
    bare = len(numbers) >= 4 and steps in ({1}, {-1})
    return usual if (min(steps) > 0 or max(steps) < 0) and (usual or bare) else None


def _recurs(cells: list[list[str]]) -> bool:
    """Return whether the first row says the same twice or more, and no other row any of it.

    So does the header of a table whose columns are set side by side to save paper.
    """
    names = [key(cell) for cell in cells[0]]
    if not times(names) or any(_VALUE.fullmatch(name) for name in names):
        return False
    return not any(key(cell) in names for row in cells[1:] for cell in row if cell)


def times(names: list[str]) -> int:
    """Return how often the first of the names are repeated to make all of them, 0 for not."""
    for times in (2, 3, 4):
        width = len(names) // times
        if width >= 2 and names == names[:width] * times and len(set(names)) > 1:
            return times
    return 0


def _names_its_last(cells: list[list[str]]) -> bool:
    """Return whether only the first row ends with a name, as `x | Control setting` does.

    What labels name stands in the first column: `Supply type | DC` is no header.
    """
    lasts = [row[-1] for row in cells]
    return len(cells) >= 3 and _ends_known(lasts[0]) and not any(map(_ends_known, lasts[1:]))


def _ends_known(text: str) -> bool:
    words = _key_words(text)
    return bool(_KNOWN.match(words)) or (
        len(words.split()) <= 3 and bool(_LAST_KNOWN.search(words)) and not _DIGIT.search(words)
    )


def _names_its_columns(cells: list[list[str]]) -> bool:
    """Return whether only the first row, of three columns or more, begins with a known name."""
    firsts = [_key_words(row[0]) for row in cells]
    known = [bool(_KNOWN.match(first)) for first in firsts]
    return len(cells[0]) >= 3 and len(cells) >= 4 and known[0] and not any(known[1:])


def _body_differs(head: list[str], body: list[list[str]]) -> bool:
    """Return whether a column below a row without digits is of numbers, or says the same."""
    if len(body) == 1 and len(head) >= 3:
        return sum(bool(_DIGIT.search(cell)) for cell in body[0]) >= 0.4 * len(head)
    again = any(
        name and name in column for name, column in zip(head, zip(*body, strict=True), strict=True)
    )
    for column in zip(*body, strict=True):
        values = [value for value in column if value.strip(".…-—/ ")]
        numbers = sum(bool(_DIGIT.search(value)) for value in values)
        if len(values) >= 2 and numbers >= 0.8 * len(values):
            return True
        recurring = len(set(values)) <= (0.5 if len(values) > 3 else 0.7) * len(values)
        if len(values) >= (3 if len(head) > 2 else 4) and recurring and not again:
            return True
    return False


def key(text: str) -> str:
    """Return a name as it is compared with others."""
    return _NOISE.sub("", text).casefold()


def _key_words(text: str) -> str:
    text = re.sub(r"[（(].*?[)）]", "", text)
    text = " ".join(text.split()).strip(" :：*.")
    return text if text.isascii() else "".join(text.split())
