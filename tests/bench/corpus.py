"""Passages for measuring: varied, in both languages, the same on every run.

Two thirds are running text and one third rows of fault tables, as manuals of drives give. The
code of row n is `code(n)`; no two rows share one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from schemas.retrieval import Field, Passage

_PARTS = (
    ("DC bus", "直流母线"), ("brake chopper", "制动单元"), ("cooling fan", "冷却风扇"),
    ("encoder", "编码器"), ("heat sink", "散热器"), ("hydraulic pump", "液压泵"),
    ("spindle", "主轴"), ("servo motor", "伺服电机"), ("gearbox", "减速机"),
    ("conveyor belt", "输送带"), ("light curtain", "光幕"), ("pressure switch", "压力开关"),
    ("backup battery", "后备电池"), ("fieldbus module", "总线模块"),
    ("precharge relay", "预充电继电器"),
    ("output stage", "输出级"), ("vacuum gripper", "真空吸盘"), ("tool changer", "换刀装置"),
    ("lubrication pump", "润滑泵"), ("safety relay", "安全继电器"), ("door lock", "门锁"),
    ("linear guide", "直线导轨"), ("water chiller", "冷水机"), ("laser source", "激光器"),
)  # fmt: skip
_TROUBLES = (
    ("undervoltage", "欠压"), ("overvoltage", "过压"), ("overcurrent", "过流"),
    ("overtemperature", "过热"), ("timeout", "超时"), ("short circuit", "短路"),
    ("ground fault", "接地故障"), ("signal lost", "信号丢失"), ("not calibrated", "未校准"),
    ("blocked", "堵转"), ("leakage", "泄漏"), ("overload", "过载"), ("wire break", "断线"),
    ("position deviation", "位置偏差"), ("wrong parameter", "参数错误"), ("worn out", "磨损"),
)  # fmt: skip
_CAUSES = (
    ("the mains voltage is too low", "输入电压过低"), ("a connector is loose", "接插件松动"),
    ("the acceleration time is too short", "加速时间过短"), ("the filter is dirty", "滤网脏污"),
    ("the cable shield is not connected", "电缆屏蔽层未接"), ("the load is jammed", "负载卡死"),
    ("the ambient temperature exceeds 40 °C", "环境温度超过 40 度"),
    ("the firmware versions differ", "固件版本不一致"), ("the fuse has blown", "熔断器熔断"),
    ("the oil level is below the mark", "油位低于刻度"), ("the sensor is covered", "传感器被遮挡"),
    ("the station address is used twice", "站地址重复"),
)  # fmt: skip
_REMEDIES = (
    ("check the supply and the terminals", "检查电源和接线端子"),
    ("replace the part and run auto-tuning", "更换部件并重新自整定"),
    ("clean the filter and measure again", "清洁滤网后重新测量"),
    ("tighten the screws with 1.2 Nm", "以 1.2 牛米拧紧螺钉"),
    ("raise the limit with parameter P{p}", "用参数 P{p} 提高限值"),
    ("switch off, wait ten minutes, switch on", "断电十分钟后重新上电"),
    ("measure the insulation resistance", "测量绝缘电阻"),
    ("load the saved parameters", "装载已保存的参数"), ("call the service", "联系售后服务"),
    ("bleed the pump and refill the tank", "给泵排气并加满油箱"),
)  # fmt: skip
_MACHINES = ("AX5", "Vega 300", "KR-12", "Polaris", "MX-7 press", "Orion", "TL40", "Delphi line")


def code(n: int) -> str:
    """Return the fault code of row `n`."""
    return f"{'FEAW'[n % 4]}{10000 + n * 7}"


def passages(n: int) -> Iterator[Passage]:
    """Yield `n` passages of one manual."""
    dice = random.Random(20)
    rows = 0
    for ordinal in range(n):
        page = 1 + ordinal // 6
        section = f"{1 + page // 40} {dice.choice(_MACHINES)} > {page % 40}.{ordinal % 9} Faults"
        chinese = ordinal % 2
        if ordinal % 3 == 0:
            text, fields = _row(dice, code(rows), chinese)
            rows += 1
        else:
            text = " ".join(_sentence(dice, chinese) for _ in range(dice.randint(3, 9)))
            fields = []
        yield Passage(
            ordinal=ordinal,
            page=page,
            section=section,
            kind="row" if fields else "text",
            text=text,
            fields=fields,
            lang=("en", "zh")[chinese],
        )


def questions(n: int) -> Iterator[str]:
    """Yield `n` questions: by code, by words, in both languages."""
    dice = random.Random(21)
    for number in range(n):
        part, trouble = dice.choice(_PARTS), dice.choice(_TROUBLES)
        yield (
            f"What does fault {code(dice.randrange(3000))} mean and how do I fix it?",
            f"{part[1]}{trouble[1]}怎么办?",
            f"{part[0]} {trouble[0]} while accelerating, what should I check",
            f"变频器报{code(dice.randrange(3000))}错误怎么办",
        )[number % 4]


def _row(dice: random.Random, name: str, chinese: int) -> tuple[str, list[Field]]:
    headers = (("Code", "Fault", "Cause", "Remedy"), ("代码", "故障", "原因", "处理"))[chinese]
    what = dice.choice(_PARTS)[chinese] + (" ", "")[chinese] + dice.choice(_TROUBLES)[chinese]
    cells = (name, what, dice.choice(_CAUSES)[chinese], _remedy(dice, chinese))
    fields = [Field(header, cell) for header, cell in zip(headers, cells, strict=True)]
    return " | ".join(f"{field.name}: {field.value}" for field in fields), fields


def _sentence(dice: random.Random, chinese: int) -> str:
    part, trouble = dice.choice(_PARTS)[chinese], dice.choice(_TROUBLES)[chinese]
    cause, remedy = dice.choice(_CAUSES)[chinese], _remedy(dice, chinese)
    value = dice.randint(2, 900)
    forms = (
        (
            f"If the {part} of the {dice.choice(_MACHINES)} reports {trouble}, {remedy}.",
            f"The {part} switches off after {value} ms when {cause}.",
            f"Before working on the {part}, {remedy}; {cause} in most cases.",
            f"Parameter P{value} limits the {part}; {trouble} follows a value over {value}.",
        ),
        (
            f"{dice.choice(_MACHINES)} 的{part}报{trouble}时，请{remedy}。",
            f"当{cause}时，{part}在 {value} 毫秒后关断。",
            f"检修{part}之前请{remedy}，多数情况是{cause}。",
            f"参数 P{value} 限制{part}，超过 {value} 会引起{trouble}。",
        ),
    )
    return dice.choice(forms[chinese])


def _remedy(dice: random.Random, chinese: int) -> str:
    return dice.choice(_REMEDIES)[chinese].format(p=dice.randint(100, 999))
