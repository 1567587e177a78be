"""Every word of the sample manual, English and Chinese side by side.

The Kelvarn FD40 frequency inverter and its maker are invented. The manual exists so that the
demonstration and the tests have a document of the kind a plant really has: chapters, ruled
tables that run over a page, fault entries in prose, two languages in one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


class Text(NamedTuple):
    """The same words in both languages of the manual."""

    en: str
    zh: str


Cell = str | Text
"""A table cell; a plain string reads the same in both languages."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the fault code table."""

    code: str
    name_en: str
    causes_en: tuple[str, ...]
    remedies_en: tuple[str, ...]
    name_zh: str
    causes_zh: tuple[str, ...]
    remedies_zh: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """The long description of one fault, in prose."""

    code: str
    cause: Text
    remedy: Text
    reaction: Text


@dataclass(frozen=True, slots=True)
class Para:
    """A paragraph of running text."""

    text: Text


@dataclass(frozen=True, slots=True)
class Section:
    """A second-level heading, numbered by the renderer."""

    title: Text


@dataclass(frozen=True, slots=True)
class Items:
    """A list, with bullets or as numbered steps."""

    items: tuple[Text, ...]
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A safety notice with its signal word."""

    level: Literal["danger", "warning", "caution", "note"]
    text: Text


@dataclass(frozen=True, slots=True)
class Grid:
    """A ruled table with one header row."""

    title: Text
    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    widths: tuple[float, ...]
    """Share of the text width of each column; the sum is 1."""


@dataclass(frozen=True, slots=True)
class FaultTable:
    """Stands where the table of all FAULTS goes."""


@dataclass(frozen=True, slots=True)
class FaultEntries:
    """Stands where the prose ENTRIES go."""


Block = Para | Section | Items | Notice | Grid | FaultTable | FaultEntries


@dataclass(frozen=True, slots=True)
class Chapter:
    """A first-level heading and what stands under it."""

    title: Text
    blocks: tuple[Block, ...]


T = Text

MAKER = "Kelvarn"
PRODUCT = "Kelvarn FD40"
DOCUMENT_NO = "FD40-UM-04"
FILE_STEM = "Kelvarn FD40 Manual"
TITLE = T("Kelvarn FD40 Frequency Inverter", "Kelvarn FD40 系列变频器")
SUBTITLE = T("User manual: installation, commissioning, faults", "用户手册：安装、调试与故障处理")
RANGE = T("3AC 380–480 V, 0.75–22 kW", "三相 380–480 V，0.75–22 kW")
EDITION = T("Edition 04, firmware 2.3 and later", "第 04 版，适用于固件 2.3 及以上版本")
PARTS = T("Part A – English", "Part B – 中文")
CONTENTS = T("Contents", "目录")
PAGE = T("Document {doc}, page {n} / {total}", "文件编号 {doc}，第 {n} 页 / 共 {total} 页")
SIGNALS = {
    "danger": T("DANGER", "危险"),
    "warning": T("WARNING", "警告"),
    "caution": T("CAUTION", "小心"),
    "note": T("NOTE", "注意"),
}
FAULT_TITLE = T("Fault codes", "故障代码")
FAULT_HEADER = (
    T("Code", "代码"),
    T("Fault name", "故障名称"),
    T("Possible cause", "可能原因"),
    T("Remedy", "处理方法"),
)
FAULT_WIDTHS = (0.09, 0.19, 0.34, 0.38)
ENTRY_LABELS = (T("Cause", "原因"), T("Remedy", "处理"), T("Reaction", "反应"))

FAULTS: tuple[Fault, ...] = (
    Fault(
        "E001",
        "Inverter unit fault",
        (
            "Short circuit between output phases or to earth",
            "IGBT module damaged",
            "Motor cable too long for the carrier frequency",
        ),
        (
            "Disconnect U, V, W and start again; if the fault stays away, test motor and cable",
            "If the fault returns without a motor, send the inverter for repair",
            "Fit an output reactor or lower P0.08",
        ),
        "逆变单元故障",
        ("输出相间短路或对地短路", "IGBT 模块损坏", "电机电缆过长，与载波频率不匹配"),
        (
            "拆下 U、V、W 后重新启动；若不再报故障，检查电机和电缆",
            "若不接电机仍报故障，将变频器送修",
            "加装输出电抗器，或减小 P0.08",
        ),
    ),
    Fault(
        "E002",
        "Overcurrent during acceleration",
        (
            "Acceleration time too short for the load inertia",
            "Torque boost set too high",
            "Start onto a motor that is still turning",
        ),
        (
            "Increase the acceleration time P0.06",
            "Reduce the torque boost P2.00",
            "Set P2.03 = 1 (flying start) or wait for standstill",
        ),
        "加速过电流",
        ("加速时间过短，负载惯量大", "转矩提升设置过高", "电机尚在旋转时启动"),
        ("增大加速时间 P0.06", "减小转矩提升 P2.00", "设置 P2.03 = 1（转速跟踪启动）或等电机停稳"),
    ),
    Fault(
        "E003",
        "Overcurrent during deceleration",
        ("Deceleration time too short", "Large inertia and no braking resistor fitted"),
        ("Increase the deceleration time P0.07", "Fit a braking resistor as in Table 2-2"),
        "减速过电流",
        ("减速时间过短", "负载惯量大且未接制动电阻"),
        ("增大减速时间 P0.07", "按表 2-2 加装制动电阻"),
    ),
    Fault(
        "E004",
        "Overcurrent at constant speed",
        (
            "Load jumps or machine jams",
            "Motor larger than the inverter",
            "Insulation of motor or cable failing",
        ),
        (
            "Free the mechanics and check the load",
            "Compare motor current with the inverter rating",
            "Measure insulation with the cable taken off the inverter",
        ),
        "恒速过电流",
        ("负载突变或机械卡死", "电机功率大于变频器", "电机或电缆绝缘下降"),
        (
            "排除机械卡阻，检查负载",
            "核对电机电流与变频器额定电流",
            "将电缆从变频器上拆下后测量绝缘",
        ),
    ),
    Fault(
        "E005",
        "DC bus undervoltage",
        (
            "Mains voltage too low or briefly interrupted",
            "Mains phase missing, fuse blown or terminal loose at R, S, T",
            "Precharge circuit or rectifier damaged",
        ),
        (
            "Measure the mains voltage at R, S, T under load: it must stay above 323 V AC",
            "Check line fuses and contactor, tighten the input terminals, then reset the fault",
            "If the mains is sound but P+ to N- stays below 350 V DC, have the inverter repaired",
        ),
        "直流母线欠压",
        (
            "电网电压过低或瞬时断电",
            "输入缺相、熔断器熔断或 R、S、T 端子松动",
            "预充电回路或整流桥损坏",
        ),
        (
            "带载测量 R、S、T 端子的电网电压，应始终高于 323 V AC",
            "检查进线熔断器和接触器，紧固输入端子，然后复位故障",
            "若电网正常而 P+ 与 N- 之间的直流母线电压仍低于 350 V DC，将变频器送修",
        ),
    ),
    Fault(
        "E006",
        "Overvoltage during acceleration",
        ("Mains voltage too high", "Motor driven by the load while it accelerates"),
        (
            "Bring the mains voltage below 528 V AC",
            "Increase P0.06 or fit a braking resistor",
        ),
        "加速过电压",
        ("电网电压过高", "加速过程中电机被负载拖动"),
        ("将电网电压降到 528 V AC 以下", "增大 P0.06 或加装制动电阻"),
    ),
    Fault(
        "E007",
        "Overvoltage during deceleration",
        (
            "Deceleration time too short for the inertia",
            "Braking resistor missing, open circuit or of too high a value",
        ),
        (
            "Increase the deceleration time P0.07",
            "Measure the resistor at P+ and PB with the power off, compare with Table 2-2",
            "Without a resistor set P2.08 = 1 (overvoltage stall prevention)",
        ),
        "减速过电压",
        ("减速时间过短，惯量大", "制动电阻未接、断路或阻值过大"),
        (
            "增大减速时间 P0.07",
            "断电后测量 P+ 与 PB 之间的电阻，与表 2-2 对照",
            "未接制动电阻时设置 P2.08 = 1（过压失速抑制）",
        ),
    ),
    Fault(
        "E008",
        "Overvoltage at constant speed",
        ("Mains overvoltage or switching surges", "Overhauling load, such as a lowering hoist"),
        ("Fit a line reactor, check the mains", "Fit a braking resistor, check P2.07"),
        "恒速过电压",
        ("电网过电压或操作浪涌", "负载倒拖，例如起重机下放"),
        ("加装进线电抗器，检查电网", "加装制动电阻，检查 P2.07"),
    ),
    Fault(
        "E009",
        "Inverter overload",
        ("Output current above 150 % for 60 s", "Inverter too small", "Torque boost too high"),
        (
            "Reduce the load or lengthen the ramps",
            "Choose the next larger inverter",
            "Reduce P2.00, repeat motor identification",
        ),
        "变频器过载",
        ("输出电流超过 150 % 达 60 s", "变频器选型过小", "转矩提升过高"),
        ("减轻负载或延长加减速时间", "选用大一档的变频器", "减小 P2.00，重新进行电机辨识"),
    ),
    Fault(
        "E010",
        "Motor overload",
        (
            "Rated motor current P1.02 entered wrongly",
            "Motor runs slowly under full load for long",
            "Machine sluggish",
        ),
        (
            "Enter P1.02 from the motor nameplate",
            "Fit a separately driven fan or limit the time at low speed",
            "Check bearings, gearbox and belt tension",
        ),
        "电机过载",
        ("电机额定电流 P1.02 设置错误", "电机长时间低速重载运行", "机械传动不灵活"),
        ("按电机铭牌设置 P1.02", "加装独立风机或限制低速运行时间", "检查轴承、减速机和皮带张力"),
    ),
    Fault(
        "E011",
        "Input phase loss",
        ("Line fuse blown or contactor worn", "Loose wire at R, S, T", "Mains badly unbalanced"),
        (
            "Measure all three phase voltages under load",
            "Tighten the terminals to the torque in Table 4-1",
            "Correct the mains if the unbalance is above 3 %",
        ),
        "输入缺相",
        ("进线熔断器熔断或接触器触点磨损", "R、S、T 接线松动", "电网严重不平衡"),
        ("带载测量三相电压", "按表 4-1 的力矩紧固端子", "不平衡度超过 3 % 时整治电网"),
    ),
    Fault(
        "E012",
        "Output phase loss",
        (
            "Motor cable broken or loose at U, V, W",
            "Motor winding open",
            "Contactor in the motor cable open while running",
        ),
        (
            "Check cable and terminals",
            "Measure the winding resistances: they must agree within 2 %",
            "Close the contactor before the run command is given",
        ),
        "输出缺相",
        ("电机电缆断线或 U、V、W 端子松动", "电机绕组开路", "运行中电机侧接触器断开"),
        ("检查电缆和端子", "测量三相绕组电阻，偏差应在 2 % 以内", "先闭合接触器再给运行命令"),
    ),
    Fault(
        "E013",
        "Heatsink overtemperature",
        (
            "Fan failed or heatsink clogged",
            "Ambient temperature above 40 °C without derating",
            "Clearances of the cabinet not kept",
        ),
        (
            "Clean the heatsink, replace the fan",
            "Cool the cabinet or reduce the load; lower P0.08",
            "Restore the clearances of chapter 3",
        ),
        "散热器过热",
        ("风扇损坏或散热器堵塞", "环境温度超过 40 °C 且未降额", "柜内安装间距不足"),
        ("清洁散热器，更换风扇", "加强柜体散热或减轻负载；降低 P0.08", "按第 3 章恢复安装间距"),
    ),
    Fault(
        "E014",
        "External fault",
        ("A digital input set to 5 or 6 has been activated by the machine",),
        (
            "Find out which interlock switched the input, clear it, then reset",
            "Check P3.00 to P3.04 if no interlock is meant",
        ),
        "外部故障",
        ("功能设为 5 或 6 的数字输入被外部设备触发",),
        ("查明是哪个联锁信号动作，排除后复位", "若未使用联锁，检查 P3.00 至 P3.04"),
    ),
    Fault(
        "E015",
        "MODBUS communication timeout",
        (
            "Master stopped or cable broken",
            "Baud rate, format or address differs",
            "Interference on the bus cable",
        ),
        (
            "Check the master and the wires 485+ and 485-",
            "Compare P5.00 to P5.02 with the master",
            "Use shielded twisted pair, terminate both ends with 120 Ω",
        ),
        "MODBUS 通信超时",
        ("主站停止或通信线断开", "波特率、格式或地址不一致", "通信线受到干扰"),
        (
            "检查主站以及 485+、485- 接线",
            "核对 P5.00 至 P5.02 与主站设置",
            "使用屏蔽双绞线，两端接 120 Ω 终端电阻",
        ),
    ),
    Fault(
        "E016",
        "Precharge contactor fault",
        ("Contactor does not close", "Control voltage too low", "Mains switched too often"),
        (
            "Switch the mains off for 10 min, then on again",
            "Keep at least 60 s between two mains switch-ons",
            "If it returns, have the inverter repaired",
        ),
        "预充电接触器故障",
        ("接触器未吸合", "控制电压过低", "频繁通断电源"),
        ("断电 10 min 后重新上电", "两次上电间隔至少 60 s", "若再次出现，将变频器送修"),
    ),
    Fault(
        "E017",
        "Current measurement fault",
        ("Current sensor or its plug defective", "Control board damaged"),
        ("Switch off and on once", "If it returns, have the inverter repaired"),
        "电流检测故障",
        ("电流传感器或其插头损坏", "控制板损坏"),
        ("断电后重新上电一次", "若再次出现，将变频器送修"),
    ),
    Fault(
        "E018",
        "Motor identification failed",
        (
            "Motor data P1.00 to P1.04 wrong",
            "Motor not connected, or loaded during rotating identification",
        ),
        (
            "Enter the motor data from the nameplate",
            "Connect the motor; uncouple the load or use P1.05 = 1",
        ),
        "电机辨识失败",
        ("电机参数 P1.00 至 P1.04 错误", "未接电机，或旋转辨识时带负载"),
        ("按铭牌输入电机参数", "连接电机；脱开负载或使用 P1.05 = 1"),
    ),
    Fault(
        "E019",
        "Parameter memory fault",
        ("Parameter memory worn by cyclic writing", "Power lost while parameters were saved"),
        (
            "Restore the defaults with P0.10 = 1 and enter the parameters again",
            "Let the master write set points to register 2001h, not to parameters",
        ),
        "参数存储器故障",
        ("循环写入导致存储器寿命耗尽", "保存参数时断电"),
        (
            "用 P0.10 = 1 恢复出厂值后重新设置参数",
            "让主站把给定值写入寄存器 2001h，而不是写参数",
        ),
    ),
    Fault(
        "E020",
        "Earth fault at output",
        ("Insulation of motor or motor cable damaged", "Moisture in the motor terminal box"),
        (
            "Take U, V, W off and measure the insulation to PE: at least 1 MΩ at 500 V DC",
            "Dry the terminal box, replace the cable",
        ),
        "输出对地短路",
        ("电机或电机电缆绝缘损坏", "电机接线盒进水受潮"),
        ("拆下 U、V、W，测量对 PE 绝缘：500 V DC 下不低于 1 MΩ", "烘干接线盒，更换电缆"),
    ),
    Fault(
        "E021",
        "Motor overtemperature (PTC)",
        ("Motor too hot", "PTC circuit at AI2 open"),
        (
            "Let the motor cool down, reduce the load, check the motor fan",
            "Measure the PTC: below 1.5 kΩ cold",
        ),
        "电机过热（PTC）",
        ("电机温度过高", "接于 AI2 的 PTC 回路断开"),
        ("让电机冷却，减轻负载，检查电机风扇", "测量 PTC：冷态应低于 1.5 kΩ"),
    ),
    Fault(
        "E022",
        "Speed deviation too large",
        ("Load blocks the motor", "Current limit P2.09 too low", "P4.09 set too small"),
        ("Free the machine", "Raise P2.09 within the motor rating", "Increase P4.09"),
        "速度偏差过大",
        ("负载堵转", "电流限幅 P2.09 过低", "P4.09 设置过小"),
        ("排除机械卡阻", "在电机允许范围内增大 P2.09", "增大 P4.09"),
    ),
    Fault(
        "E023",
        "Braking chopper overload",
        ("Braking resistor too small or short-circuited", "Braking too often or too long"),
        (
            "Measure the resistor and compare with the minimum of Table 2-2",
            "Lengthen P0.07 or use a resistor of higher power",
        ),
        "制动单元过载",
        ("制动电阻阻值过小或短路", "制动过于频繁或时间过长"),
        ("测量制动电阻，与表 2-2 的最小值对照", "增大 P0.07 或选用更大功率的电阻"),
    ),
    Fault(
        "E024",
        "Cooling fan fault",
        ("Fan blocked by dirt", "Fan at the end of its life", "Fan plug loose"),
        (
            "Switch off, wait 10 min, clean the fan",
            "Replace the fan (chapter 12)",
            "Push the plug home",
        ),
        "冷却风扇故障",
        ("风扇被异物卡住", "风扇到寿命", "风扇插头松动"),
        ("断电并等待 10 min 后清洁风扇", "更换风扇（第 12 章）", "插紧插头"),
    ),
    Fault(
        "E025",
        "Analogue input signal lost",
        ("4–20 mA signal below 3 mA", "Sensor without supply or wire broken"),
        (
            "Measure the loop current at AI1 or AI2",
            "Check sensor supply, polarity and wiring",
            "Check P3.05 and P3.07 against the sensor type",
        ),
        "模拟量输入断线",
        ("4–20 mA 信号低于 3 mA", "传感器无电源或断线"),
        (
            "测量 AI1 或 AI2 的回路电流",
            "检查传感器电源、极性和接线",
            "核对 P3.05、P3.07 与传感器类型",
        ),
    ),
    Fault(
        "E026",
        "Load loss",
        ("Belt broken or coupling slipping", "Pump runs dry"),
        (
            "Check belt, coupling and shaft",
            "Open the suction valve, vent the pump",
            "Adapt P4.06 and P4.07 to the normal load",
        ),
        "掉载",
        ("皮带断裂或联轴器打滑", "水泵空转"),
        ("检查皮带、联轴器和轴", "打开吸入阀，给水泵排气", "按正常负载调整 P4.06 和 P4.07"),
    ),
    Fault(
        "E027",
        "STO channel discrepancy",
        ("STO1 and STO2 differ for more than 500 ms", "Safety relay contact welded"),
        (
            "Check both channels from the safety relay to STO1 and STO2",
            "Replace the safety relay; switch the mains off and on to reset",
        ),
        "STO 通道不一致",
        ("STO1 与 STO2 状态不一致超过 500 ms", "安全继电器触点粘连"),
        (
            "检查安全继电器到 STO1、STO2 的两个通道",
            "更换安全继电器；断电后重新上电进行复位",
        ),
    ),
    Fault(
        "E028",
        "24 V supply overloaded",
        ("More than 100 mA drawn from terminal 24V", "Short circuit in the control wiring"),
        (
            "Pull off the control plug and switch on again",
            "Feed sensors from a supply of their own",
        ),
        "24 V 电源过载",
        ("24V 端子负载超过 100 mA", "控制接线短路"),
        ("拔下控制端子后重新上电", "传感器改用独立电源供电"),
    ),
)

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "E001",
        T(
            "The desaturation monitor of the IGBT module has seen a short circuit. Most often the"
            " motor or its cable is at fault; a damaged module shows the fault even with no"
            " motor connected.",
            "IGBT 模块的退饱和监测检测到短路。多数情况下是电机或电缆故障；"
            "若模块已损坏，不接电机也会报此故障。",
        ),
        T(
            "Switch off, wait ten minutes, take the motor cable off U, V, W and run at 10 Hz. If"
            " the inverter now runs, test the insulation of motor and cable. Do not reset more"
            " than twice: each attempt loads the module again.",
            "断电并等待十分钟，将电机电缆从 U、V、W 拆下，以 10 Hz 运行。若变频器能正常运行，"
            "检查电机和电缆绝缘。复位不得超过两次，每次尝试都会再次冲击模块。",
        ),
        T(
            "The output is blocked within 10 µs; the motor coasts. No automatic reset.",
            "10 µs 内封锁输出，电机自由停车。不允许自动复位。",
        ),
    ),
    Entry(
        "E005",
        T(
            "The DC bus voltage has fallen below the level in P4.02 (350 V DC by default) while"
            " the inverter was running. The mains dipped, a phase is missing, or the precharge"
            " resistor stays in circuit because its contactor does not close.",
            "运行中直流母线电压低于 P4.02 的设定值（出厂值 350 V DC）。可能是电网电压跌落、"
            "输入缺相，或预充电接触器未吸合，使预充电电阻一直串在回路中。",
        ),
        T(
            "Read P6.05 for the bus voltage at the moment of the trip. Measure R, S and T under"
            " load and check the line fuses. If short mains dips are usual at the site, set"
            " P4.03 = 1 so that the inverter rides through them on the energy of the load.",
            "查看 P6.05 记录的跳闸时母线电压。带载测量 R、S、T，检查进线熔断器。"
            "若现场经常出现短时电压跌落，设置 P4.03 = 1，利用负载动能度过跌落。",
        ),
        T(
            "The motor coasts. Reset is possible when the bus is above 400 V DC; with P4.04"
            " above 0 the inverter restarts by itself.",
            "电机自由停车。母线电压高于 400 V DC 后可以复位；P4.04 大于 0 时变频器自动重新启动。",
        ),
    ),
    Entry(
        "E007",
        T(
            "The load feeds energy back faster than the DC bus can take it; the bus has risen"
            " above 800 V DC.",
            "负载回馈能量过快，直流母线无法吸收，母线电压升至 800 V DC 以上。",
        ),
        T(
            "Lengthen P0.07 in steps of 20 % until the fault stays away. Where the machine must"
            " stop quickly, fit a braking resistor, set P2.07 = 700 V and P2.08 = 0.",
            "以 20 % 为步长增大 P0.07，直到不再报故障。若机械必须快速停车，加装制动电阻，"
            "并设置 P2.07 = 700 V、P2.08 = 0。",
        ),
        T("The motor coasts. Automatic reset is possible.", "电机自由停车。允许自动复位。"),
    ),
    Entry(
        "E010",
        T(
            "The thermal model of the motor, fed with the output current and P1.02, has reached"
            " 100 %. At low speed the model allows less current, since the motor's own fan then"
            " cools little.",
            "电机热模型根据输出电流和 P1.02 计算，已达到 100 %。低速时自带风扇散热能力下降，"
            "模型允许的电流随之减小。",
        ),
        T(
            "Compare the current on the display with the nameplate at normal load. If it is"
            " higher, look for the mechanical reason. If it is not, correct P1.02 and P1.07.",
            "在正常负载下将显示电流与铭牌对照。若偏高，查找机械原因；若不高，修正 P1.02 和 P1.07。",
        ),
        T(
            "Warning A002 at 90 %, trip at 100 %. Reset after the model has fallen to 80 %.",
            "达到 90 % 时发出警告 A002，100 % 时跳闸。热模型降到 80 % 后可复位。",
        ),
    ),
    Entry(
        "E013",
        T(
            "The sensor in the heatsink has measured more than 85 °C.",
            "散热器内的温度传感器测得温度超过 85 °C。",
        ),
        T(
            "Check that the fan turns when the inverter runs, blow out the heatsink from above"
            " with dry air of at most 2 bar, measure the air temperature 50 mm below the"
            " inverter. Each kilohertz less in P0.08 lowers the losses by about 5 %.",
            "确认变频器运行时风扇转动，用不超过 2 bar 的干燥空气自上而下吹扫散热器，"
            "测量变频器下方 50 mm 处的空气温度。P0.08 每降低 1 kHz，损耗约减少 5 %。",
        ),
        T(
            "Warning A001 at 78 °C, trip at 85 °C. The fan goes on running.",
            "78 °C 时发出警告 A001，85 °C 时跳闸。风扇继续运转。",
        ),
    ),
    Entry(
        "E015",
        T(
            "No valid telegram has arrived within the time in P5.03.",
            "在 P5.03 设定的时间内未收到有效报文。",
        ),
        T(
            "Watch the COM symbol on the panel: it blinks with every valid telegram. If it is"
            " dark, swap 485+ and 485- as a trial, then check address and format. If it blinks"
            " irregularly, look for missing termination and for motor cables beside the bus.",
            "观察面板上的 COM 符号：每收到一帧有效报文闪烁一次。若不亮，试着对调 485+ 与 485-，"
            "再检查地址和格式。若闪烁不规则，检查终端电阻是否缺失、通信线是否与电机电缆并行。",
        ),
        T(
            "With P5.04 = 1 the motor stops along the ramp P0.07 and E015 is shown; with"
            " P5.04 = 0 it goes on with the last set point and A004 is shown.",
            "P5.04 = 1 时电机按 P0.07 减速停车并显示 E015；P5.04 = 0 时按最后给定值继续运行，"
            "显示 A004。",
        ),
    ),
    Entry(
        "E020",
        T(
            "The sum of the three output currents differs from zero by more than 30 % of the"
            " rated current.",
            "三相输出电流之和偏离零值超过额定电流的 30 %。",
        ),
        T(
            "Take the motor cable off both ends. Measure motor and cable separately with 500 V"
            " DC. Never apply an insulation tester to the inverter itself.",
            "拆下电机电缆两端，用 500 V DC 分别测量电机和电缆。严禁对变频器本体使用绝缘测试仪。",
        ),
        T(
            "The output is blocked at once; the motor coasts. No automatic reset.",
            "立即封锁输出，电机自由停车。不允许自动复位。",
        ),
    ),
    Entry(
        "E027",
        T(
            "The two channels of Safe Torque Off must switch together. One of them did not"
            " follow the other within 500 ms.",
            "安全转矩关断的两个通道必须同时动作，其中一个通道在 500 ms 内未跟随另一通道变化。",
        ),
        T(
            "Measure 24 V DC at STO1 and at STO2 while the safety relay is operated. Repair the"
            " channel that does not switch. Repeat the function test and record it.",
            "操作安全继电器时分别测量 STO1 和 STO2 的 24 V DC 电压，修复不动作的通道，"
            "重新进行功能测试并做好记录。",
        ),
        T(
            "Torque stays off. The fault can be reset only by switching the mains off and on.",
            "保持转矩关断。只能通过断电后重新上电来复位。",
        ),
    ),
)

_SAFETY = Chapter(
    T("Safety", "安全须知"),
    (
        Para(
            T(
                "Read this chapter before any work on the inverter. Work on it is for qualified"
                " electricians who know the dangers of stored electrical energy and of machines"
                " that start by themselves.",
                "操作变频器之前请先阅读本章。只有了解储存电能和机械自动启动危险的"
                "合格电气人员才能进行作业。",
            )
        ),
        Notice(
            "danger",
            T(
                "Electric shock. The DC bus stays charged after the mains is off. Disconnect,"
                " lock out, wait 10 minutes, then measure less than 42 V DC between P+ and N-"
                " before you touch any terminal.",
                "触电危险。断电后直流母线仍带电。请切断电源并上锁，等待 10 分钟，"
                "确认 P+ 与 N- 之间低于 42 V DC 后才能接触端子。",
            ),
        ),
        Notice(
            "warning",
            T(
                "Unexpected start. With automatic reset (P4.04 above 0) or a maintained run"
                " command the motor may start as soon as the mains returns. Use Safe Torque Off"
                " and the main switch before you reach into the machine.",
                "意外启动。启用自动复位（P4.04 大于 0）或保持运行命令时，来电后电机可能立即启动。"
                "进入机械内部之前请使用安全转矩关断并断开主开关。",
            ),
        ),
        Notice(
            "caution",
            T(
                "Hot surface. The heatsink may reach 85 °C. Let it cool before you touch it.",
                "表面高温。散热器温度可达 85 °C，冷却后方可接触。",
            ),
        ),
        Items(
            (
                T(
                    "Earth leakage current exceeds 3.5 mA: connect PE with at least 10 mm²"
                    " copper, or with two conductors.",
                    "对地漏电流大于 3.5 mA：PE 须使用不小于 10 mm² 的铜线，或采用双根保护导体。",
                ),
                T(
                    "Use only residual current devices of type B, 300 mA.",
                    "只能使用 B 型 300 mA 剩余电流保护器。",
                ),
                T(
                    "Never connect the mains to U, V, W. Never switch capacitors or surge"
                    " arresters onto the output.",
                    "严禁将电源接到 U、V、W；严禁在输出侧接电容器或浪涌吸收器。",
                ),
                T(
                    "Safe Torque Off (SIL 2, EN 61800-5-2) removes torque, not voltage.",
                    "安全转矩关断（SIL 2，EN 61800-5-2）只切断转矩，不切断电压。",
                ),
            )
        ),
    ),
)

_PRODUCT = Chapter(
    T("Product identification and ratings", "产品标识与额定值"),
    (
        Para(
            T(
                "The nameplate is on the right side of the housing. Example of a type code:"
                " FD40-4T-0055-B. 4T is three-phase 380–480 V, 0055 is 5.5 kW, B is a built-in"
                " braking chopper (standard on all sizes). Quote type code and serial number in"
                " every enquiry.",
                "铭牌位于机箱右侧。型号示例：FD40-4T-0055-B。4T 表示三相 380–480 V，"
                "0055 表示 5.5 kW，B 表示内置制动单元（全系列标配）。咨询时请提供型号和序列号。",
            )
        ),
        Grid(
            T("Ratings at 400 V, 4 kHz, 40 °C", "额定值（400 V、4 kHz、40 °C）"),
            (
                T("Type", "型号"),
                T("Motor kW", "电机 kW"),
                T("Input A", "输入 A"),
                T("Output A", "输出 A"),
                T("Losses W", "损耗 W"),
                T("Fuse gG A", "熔断器 gG A"),
                T("Frame", "机箱"),
            ),
            (
                ("FD40-4T-0007-B", "0.75", "3.4", "2.5", "38", "10", "A"),
                ("FD40-4T-0015-B", "1.5", "5.1", "4.0", "60", "10", "A"),
                ("FD40-4T-0022-B", "2.2", "6.6", "5.6", "82", "16", "A"),
                ("FD40-4T-0040-B", "4.0", "10.8", "9.5", "140", "20", "B"),
                ("FD40-4T-0055-B", "5.5", "14.8", "13", "185", "25", "B"),
                ("FD40-4T-0075-B", "7.5", "19.8", "17", "240", "32", "C"),
                ("FD40-4T-0110-B", "11", "26.5", "25", "345", "50", "C"),
                ("FD40-4T-0150-B", "15", "35", "32", "440", "63", "D"),
                ("FD40-4T-0185-B", "18.5", "40", "38", "520", "63", "D"),
                ("FD40-4T-0220-B", "22", "48", "45", "610", "80", "D"),
            ),
            (0.25, 0.13, 0.12, 0.13, 0.13, 0.14, 0.10),
        ),
        Grid(
            T("Braking resistor at P+ and PB", "P+ 与 PB 之间的制动电阻"),
            (
                T("Motor kW", "电机 kW"),
                T("Minimum Ω", "最小值 Ω"),
                T("Recommended Ω", "推荐值 Ω"),
                T("Power at 10 % duty, W", "10 % 制动率时的功率 W"),
            ),
            (
                ("0.75 – 2.2", "150", "200", "250"),
                ("4.0 – 5.5", "75", "100", "500"),
                ("7.5 – 11", "40", "50", "1000"),
                ("15 – 22", "20", "27", "2000"),
            ),
            (0.22, 0.22, 0.24, 0.32),
        ),
        Grid(
            T("General data", "通用技术数据"),
            (T("Quantity", "项目"), T("Value", "数值")),
            (
                (
                    T("Mains", "电网"),
                    T(
                        "3AC 380–480 V, -15 to +10 %, 50/60 Hz ±5 %; TN, TT, IT (no EMC screw)",
                        "三相 380–480 V，-15 至 +10 %，50/60 Hz ±5 %；TN、TT、IT（拆除 EMC 螺钉）",
                    ),
                ),
                (
                    T("Output", "输出"),
                    T("3AC 0 to mains voltage, 0–400 Hz", "三相 0 至电网电压，0–400 Hz"),
                ),
                (
                    T("Overload", "过载能力"),
                    T(
                        "150 % for 60 s, 180 % for 3 s, every 10 min",
                        "150 % 60 s，180 % 3 s，每 10 min 一次",
                    ),
                ),
                (
                    T("Ambient", "环境"),
                    T(
                        "-10 to +40 °C, up to 50 °C with 2 % less current per °C;"
                        " 5 to 95 % humidity without condensation; 1000 m, above that 1 % less"
                        " current per 100 m",
                        "-10 至 +40 °C，最高 50 °C，每升高 1 °C 电流降额 2 %；湿度 5 至 95 %，"
                        "无凝露；"
                        "海拔 1000 m，以上每 100 m 降额 1 %",
                    ),
                ),
                (T("Protection", "防护等级"), "IP20"),
                (
                    T("Standards", "标准"),
                    "EN 61800-3 (C3), EN 61800-5-1, EN 61800-5-2",
                ),
            ),
            (0.2, 0.8),
        ),
    ),
)

_MECHANICAL = Chapter(
    T("Mechanical installation", "机械安装"),
    (
        Para(
            T(
                "Mount the inverter upright on a flat metal plate in a cabinet of pollution"
                " degree 2. Keep conductive dust, oil mist and dripping water away. Remove the"
                " transport cover from the top only after the drilling is done.",
                "将变频器竖直安装在污染等级 2 的电柜内的平整金属板上，避免导电粉尘、油雾和滴水。"
                "钻孔作业结束后才能取下顶部的运输防护盖。",
            )
        ),
        Grid(
            T("Dimensions, fixing and clearances", "外形尺寸、固定与间距"),
            (
                T("Frame", "机箱"),
                T("W × H × D mm", "宽 × 高 × 深 mm"),
                T("Holes mm", "安装孔距 mm"),
                T("Screws", "螺钉"),
                T("Weight kg", "重量 kg"),
                T("Above / below mm", "上 / 下间距 mm"),
                T("Sides mm", "左右 mm"),
            ),
            (
                ("A", "90 × 190 × 155", "78 × 178", "4 × M4", "1.6", "100 / 100", "0"),
                ("B", "120 × 235 × 170", "106 × 222", "4 × M5", "2.7", "100 / 100", "10"),
                ("C", "150 × 300 × 190", "134 × 286", "4 × M5", "5.1", "120 / 120", "10"),
                ("D", "210 × 390 × 215", "190 × 374", "4 × M6", "10.4", "150 / 150", "20"),
            ),
            (0.09, 0.21, 0.16, 0.12, 0.12, 0.19, 0.11),
        ),
        Notice(
            "note",
            T(
                "The losses in Table 2-1 must leave the cabinet. After more than one year in"
                " store, form the DC bus capacitors: two hours on mains without load.",
                "表 2-1 中的损耗热量必须排出电柜。存放超过一年的变频器须先进行电容激活："
                "空载通电两小时。",
            ),
        ),
    ),
)

_ELECTRICAL = Chapter(
    T("Electrical installation", "电气安装"),
    (
        Section(T("Power terminals", "主回路端子")),
        Grid(
            T("Power terminals, conductors and torques", "主回路端子、导线与力矩"),
            (
                T("Terminal", "端子"),
                T("Function", "功能"),
                T("Frame A mm² / Nm", "A 机箱 mm² / Nm"),
                T("Frame B mm² / Nm", "B 机箱 mm² / Nm"),
                T("Frame C mm² / Nm", "C 机箱 mm² / Nm"),
                T("Frame D mm² / Nm", "D 机箱 mm² / Nm"),
            ),
            (
                (
                    "R, S, T",
                    T("Mains input", "电源输入"),
                    "2.5 / 0.8",
                    "4 / 1.2",
                    "10 / 1.5",
                    "16 / 2.5",
                ),
                (
                    "U, V, W",
                    T("Motor output", "电机输出"),
                    "2.5 / 0.8",
                    "4 / 1.2",
                    "10 / 1.5",
                    "16 / 2.5",
                ),
                (
                    "P+, PB",
                    T("Braking resistor", "制动电阻"),
                    "2.5 / 0.8",
                    "4 / 1.2",
                    "6 / 1.5",
                    "10 / 2.5",
                ),
                (
                    "P+, N-",
                    T("DC bus, for measuring only", "直流母线，仅供测量"),
                    "–",
                    "–",
                    "–",
                    "–",
                ),
                (
                    "PE",
                    T("Protective earth", "保护接地"),
                    "10 / 1.5",
                    "10 / 1.5",
                    "10 / 2.0",
                    "16 / 3.0",
                ),
            ),
            (0.12, 0.24, 0.16, 0.16, 0.16, 0.16),
        ),
        Items(
            (
                T(
                    "Motor cable: shielded, at most 50 m at 4 kHz; clamp the shield over its full"
                    " circumference at both ends.",
                    "电机电缆：使用屏蔽电缆，4 kHz 时最长 50 m；屏蔽层两端整圈压接接地。",
                ),
                T(
                    "Keep 200 mm between motor cable and signal cables; cross at right angles.",
                    "电机电缆与信号电缆间距不小于 200 mm，交叉时成直角。",
                ),
                T(
                    "Remove the EMC screw on IT mains, otherwise the filter is destroyed at the"
                    " first earth fault.",
                    "在 IT 电网中须拆下 EMC 螺钉，否则首次接地故障就会损坏滤波器。",
                ),
            )
        ),
        Section(T("Control terminals", "控制端子")),
        Grid(
            T("Control terminals (0.2–1.5 mm², 0.4 Nm)", "控制端子（0.2–1.5 mm²，0.4 Nm）"),
            (
                T("Terminal", "端子"),
                T("Function, factory setting", "功能与出厂设置"),
                T("Electrical data", "电气参数"),
            ),
            (
                ("+10V", T("Supply for a potentiometer", "电位器电源"), "10.5 V DC, 10 mA"),
                (
                    "AI1",
                    T("Analogue input, frequency reference", "模拟量输入，频率给定"),
                    T(
                        "0–10 V (20 kΩ) or 0/4–20 mA (250 Ω)",
                        "0–10 V（20 kΩ）或 0/4–20 mA（250 Ω）",
                    ),
                ),
                (
                    "AI2",
                    T("Analogue input or motor PTC", "模拟量输入或电机 PTC"),
                    T("As AI1; PTC trips at 3.3 kΩ", "同 AI1；PTC 动作值 3.3 kΩ"),
                ),
                (
                    "AO1",
                    T("Analogue output, output frequency", "模拟量输出，输出频率"),
                    "0–10 V, 5 mA",
                ),
                ("GND", T("Reference of analogue signals", "模拟信号公共端"), "–"),
                (
                    "24V",
                    T("Supply for digital inputs", "数字输入电源"),
                    T("24 V DC ±10 %, 100 mA", "24 V DC ±10 %，100 mA"),
                ),
                ("COM", T("Reference of digital inputs", "数字输入公共端"), "–"),
                (
                    "DI1",
                    T("Run forward (P3.00)", "正转运行（P3.00）"),
                    T("24 V DC, 5 mA; on above 15 V", "24 V DC，5 mA；高于 15 V 为接通"),
                ),
                ("DI2", T("Run reverse (P3.01)", "反转运行（P3.01）"), T("As DI1", "同 DI1")),
                ("DI3", T("Fault reset (P3.02)", "故障复位（P3.02）"), T("As DI1", "同 DI1")),
                ("DI4", T("External fault (P3.03)", "外部故障（P3.03）"), T("As DI1", "同 DI1")),
                ("DI5", T("Preset speed (P3.04)", "多段速（P3.04）"), T("As DI1", "同 DI1")),
                (
                    "STO1, STO2",
                    T("Safe Torque Off, bridged to 24V ex works", "安全转矩关断，出厂时短接到 24V"),
                    T("24 V DC, 8 mA each", "24 V DC，每路 8 mA"),
                ),
                (
                    "R1A, R1B, R1C",
                    T("Fault relay: NO, NC, common", "故障继电器：常开、常闭、公共端"),
                    T("250 V AC or 30 V DC, 2 A", "250 V AC 或 30 V DC，2 A"),
                ),
                (
                    "485+, 485-",
                    "MODBUS RTU",
                    T("RS-485, up to 38400 baud", "RS-485，最高 38400 baud"),
                ),
            ),
            (0.17, 0.43, 0.40),
        ),
    ),
)

_PANEL = Chapter(
    T("Operation panel", "操作面板"),
    (
        Para(
            T(
                "The panel has a five-digit display, eight keys and four symbols. After switch-on"
                " it shows the output frequency. MENU steps from monitoring to groups to"
                " parameters; a value blinks while it is edited and is stored with ENTER.",
                "面板由五位数码显示、八个按键和四个状态符号组成。上电后显示输出频率。"
                "按 MENU 依次进入监视、参数组和参数；编辑时数值闪烁，按 ENTER 保存。",
            )
        ),
        Grid(
            T("Keys and symbols", "按键与符号"),
            (T("Key or symbol", "按键或符号"), T("Meaning", "含义")),
            (
                ("RUN", T("Starts the motor if P0.01 = 0", "P0.01 = 0 时启动电机")),
                (
                    "STOP/RESET",
                    T(
                        "Stops the motor; resets a fault whose cause is gone",
                        "停止电机；故障原因消除后复位故障",
                    ),
                ),
                ("MENU, ENTER", T("Back or next level; store a value", "切换菜单层级；保存数值")),
                (
                    T("Up, down, shift", "上、下、移位"),
                    T("Change a value; move to the next digit", "修改数值；移动到下一位"),
                ),
                ("JOG", T("Runs at 5 Hz while held down", "按住时以 5 Hz 点动")),
                (
                    "RUN, REV, ALM, COM",
                    T(
                        "Running; reverse; warning (blinks) or fault (steady); telegram received",
                        "运行；反转；警告（闪烁）或故障（常亮）；收到通信报文",
                    ),
                ),
            ),
            (0.27, 0.73),
        ),
    ),
)

_COMMISSIONING = Chapter(
    T("Commissioning", "调试"),
    (
        Notice(
            "warning",
            T(
                "The motor turns during rotating identification and in step 7. Make sure that"
                " nobody is in danger and that the machine may turn in both directions.",
                "旋转辨识和第 7 步时电机会转动。请确认无人员处于危险区域，且机械允许双向旋转。",
            ),
        ),
        Items(
            (
                T(
                    "Check wiring, torques and PE. Measure the mains at R, S, T before closing"
                    " the main switch.",
                    "检查接线、力矩和 PE。合上主开关前测量 R、S、T 的电源电压。",
                ),
                T(
                    "Switch on. The display shows 0.00; the fan runs for 3 s.",
                    "上电。显示 0.00，风扇运转 3 s。",
                ),
                T(
                    "If the inverter was used before, restore the defaults with P0.10 = 1.",
                    "若变频器曾使用过，用 P0.10 = 1 恢复出厂值。",
                ),
                T(
                    "Enter the motor nameplate in P1.00 to P1.04, star or delta as connected.",
                    "按电机实际接法（星形或三角形）将铭牌数据输入 P1.00 至 P1.04。",
                ),
                T(
                    "Set P1.05 = 1 (standstill) or 2 (rotating, load uncoupled) and press RUN."
                    " The display shows tUnE for up to 60 s. E018 means that it failed.",
                    "设置 P1.05 = 1（静止）或 2（旋转，脱开负载），按 RUN。"
                    "显示 tUnE，最长 60 s。若显示 E018 表示辨识失败。",
                ),
                T(
                    "Set the ramps P0.06 and P0.07, the limits P0.04 and P0.05.",
                    "设置加减速时间 P0.06、P0.07 以及频率上下限 P0.04、P0.05。",
                ),
                T(
                    "Run at 5 Hz from the panel and check the direction. If it is wrong, switch"
                    " off, wait 10 min and exchange two of U, V, W.",
                    "用面板以 5 Hz 运行，检查转向。若转向错误，"
                    "断电等待 10 min 后对调 U、V、W 中任意两相。",
                ),
                T(
                    "Choose the command source P0.01 and the reference source P0.02. Test the"
                    " emergency stop and Safe Torque Off. Write down changed parameters.",
                    "选择运行命令来源 P0.01 和频率给定来源 P0.02。测试急停和安全转矩关断，"
                    "记录修改过的参数。",
                ),
            ),
            steps=True,
        ),
    ),
)

_RATED = T("by size", "按型号")
_PARAMETER_ROWS = """
P0.00* | Control mode: 0 V/f, 1 sensorless vector | 控制方式：0 V/f，1 无感矢量 | 0–1 | 0 | –
P0.01* | Run command: 0 panel, 1 terminals, 2 MODBUS | 运行命令来源：0 面板，1 端子，2 MODBUS | \
0–2 | 0 | –
P0.02* | Reference: 0 panel, 1 AI1, 2 AI2, 3 MODBUS, 4 preset | 频率给定：0 面板，1 AI1，2 AI2，\
3 MODBUS，4 多段速 | 0–4 | 0 | –
P0.03 | Panel reference | 面板给定频率 | P0.05–P0.04 | 50.00 | Hz
P0.04* | Maximum frequency | 最大频率 | 5.00–400.00 | 50.00 | Hz
P0.05 | Minimum frequency | 最小频率 | 0.00–P0.04 | 0.00 | Hz
P0.06 | Acceleration time, 0 to P0.04 | 加速时间，0 至 P0.04 | 0.1–3000.0 | 10.0 | s
P0.07 | Deceleration time, P0.04 to 0 | 减速时间，P0.04 至 0 | 0.1–3000.0 | 10.0 | s
P0.08 | Carrier frequency | 载波频率 | 1.0–15.0 | 4.0 | kHz
P0.09* | Direction: 0 both, 1 forward only | 转向：0 双向，1 仅正转 | 0–1 | 0 | –
P0.10* | Reset: 1 factory defaults, 2 clear fault history | 初始化：1 恢复出厂值，2 清除故障记录 \
| 0–2 | 0 | –
P1.00* | Rated motor power | 电机额定功率 | 0.1–30.0 | @ | kW
P1.01* | Rated motor voltage | 电机额定电压 | 100–480 | 400 | V
P1.02* | Rated motor current | 电机额定电流 | 0.1–60.0 | @ | A
P1.03* | Rated motor frequency | 电机额定频率 | 5.0–400.0 | 50.0 | Hz
P1.04* | Rated motor speed | 电机额定转速 | 1–24000 | 1440 | rpm
P1.05* | Motor identification: 1 standstill, 2 rotating | 电机辨识：1 静止，2 旋转 | 0–2 | 0 | –
P1.06 | Motor protection: 0 off, 1 model, 2 model and PTC | 电机保护：0 关闭，1 热模型，2 \
热模型和 PTC | 0–2 | 1 | –
P1.07 | Motor overload level | 电机过载保护值 | 20–120 | 100 | %
P2.00 | Torque boost | 转矩提升 | 0.0–20.0 | 2.0 | %
P2.01* | V/f curve: 0 linear, 1 quadratic (fans, pumps) | V/f 曲线：0 线性，1 平方（风机、水泵） \
| 0–1 | 0 | –
P2.02 | Slip compensation | 转差补偿 | 0–200 | 0 | %
P2.03* | Start: 0 from zero, 1 flying start | 启动方式：0 从零启动，1 转速跟踪 | 0–1 | 0 | –
P2.04 | Stop: 0 ramp, 1 coast | 停机方式：0 减速，1 自由停车 | 0–1 | 0 | –
P2.05 | DC braking current | 直流制动电流 | 0–100 | 50 | %
P2.06 | DC braking time at stop | 停机直流制动时间 | 0.0–30.0 | 0.0 | s
P2.07 | Braking chopper level | 制动单元动作电压 | 650–760 | 700 | V
P2.08 | Overvoltage stall prevention: 0 off, 1 on | 过压失速抑制：0 关闭，1 开启 | 0–1 | 1 | –
P2.09 | Current limit | 电流限幅 | 50–180 | 160 | %
P3.00* | DI1: 0 none, 1 forward, 2 reverse, 3 jog, 4 reset, 5 external fault NO, 6 external \
fault NC, 7–9 preset bits | DI1：0 无，1 正转，2 反转，3 点动，4 复位，5 外部故障常开，6 \
外部故障常闭，7–9 多段速 | 0–9 | 1 | –
P3.01* | DI2, as P3.00 | DI2，同 P3.00 | 0–9 | 2 | –
P3.02* | DI3, as P3.00 | DI3，同 P3.00 | 0–9 | 4 | –
P3.03* | DI4, as P3.00 | DI4，同 P3.00 | 0–9 | 5 | –
P3.04* | DI5, as P3.00 | DI5，同 P3.00 | 0–9 | 7 | –
P3.05* | AI1 signal: 0 0–10 V, 1 0–20 mA, 2 4–20 mA | AI1 信号：0 0–10 V，1 0–20 mA，2 4–20 mA | \
0–2 | 0 | –
P3.06 | AI1 filter time | AI1 滤波时间 | 0.00–5.00 | 0.10 | s
P3.07* | AI2 signal, as P3.05 | AI2 信号，同 P3.05 | 0–2 | 2 | –
P3.08 | AO1: 0 frequency, 1 current, 2 DC bus voltage | AO1：0 频率，1 电流，2 直流母线电压 | \
0–2 | 0 | –
P3.09 | Relay R1: 1 running, 2 fault, 3 ready, 4 warning | 继电器 R1：1 运行，2 故障，3 就绪，4 \
警告 | 0–4 | 2 | –
P3.10 | 4–20 mA lost: 0 ignore, 1 warning A003, 2 trip E025 | 4–20 mA 断线：0 忽略，1 警告 A003，\
2 跳闸 E025 | 0–2 | 1 | –
P4.00 | Input phase loss: 0 off, 1 trip E011 | 输入缺相：0 关闭，1 跳闸 E011 | 0–1 | 1 | –
P4.01 | Output phase loss: 0 off, 1 trip E012 | 输出缺相：0 关闭，1 跳闸 E012 | 0–1 | 1 | –
P4.02 | DC bus undervoltage level (E005) | 直流母线欠压动作值（E005） | 300–400 | 350 | V
P4.03 | Ride-through of mains dips: 0 off, 1 on | 瞬时停电不停机：0 关闭，1 开启 | 0–1 | 0 | –
P4.04 | Automatic resets within 10 min | 10 min 内自动复位次数 | 0–5 | 0 | –
P4.05 | Wait before automatic reset | 自动复位等待时间 | 0.1–60.0 | 1.0 | s
P4.06 | Load loss level, 0 off (E026) | 掉载检测值，0 关闭（E026） | 0–100 | 0 | %
P4.07 | Load loss delay | 掉载检测延时 | 0.1–60.0 | 5.0 | s
P4.08 | Fan: 0 while running, 1 always | 风扇：0 运行时，1 常转 | 0–1 | 0 | –
P4.09 | Speed deviation level (E022) | 速度偏差检测值（E022） | 5–50 | 20 | %
P5.00 | MODBUS address | MODBUS 地址 | 1–247 | 1 | –
P5.01 | Baud rate: 0 4800, 1 9600, 2 19200, 3 38400 | 波特率：0 4800，1 9600，2 19200，3 38400 | \
0–3 | 2 | –
P5.02 | Format: 0 8N1, 1 8E1, 2 8O1 | 数据格式：0 8N1，1 8E1，2 8O1 | 0–2 | 1 | –
P5.03 | Timeout, 0 off | 通信超时时间，0 关闭 | 0.0–60.0 | 0.0 | s
P5.04 | On timeout: 0 warning A004, 1 trip E015 | 超时动作：0 警告 A004，1 跳闸 E015 | 0–1 | 1 | –
P6.00 | Last fault | 最近一次故障 | 0–28 | – | –
P6.01 | Last fault but one | 前一次故障 | 0–28 | – | –
P6.02 | Last fault but two | 前两次故障 | 0–28 | – | –
P6.03 | Output frequency at last fault | 最近故障时输出频率 | – | – | Hz
P6.04 | Output current at last fault | 最近故障时输出电流 | – | – | A
P6.05 | DC bus voltage at last fault | 最近故障时母线电压 | – | – | V
P6.06 | Heatsink temperature | 散热器温度 | – | – | °C
P6.07 | Operating hours | 累计运行时间 | – | – | h
"""


def _parameter_rows(text: str) -> tuple[tuple[Cell, ...], ...]:
    """Split lines of code | English | Chinese | range | default | unit; @ is the rated value."""
    rows: list[tuple[Cell, ...]] = []
    for line in text.strip().splitlines():
        code, en, zh, span, default, unit = line.split(" | ")
        rows.append((code, T(en, zh), span, _RATED if default == "@" else default, unit))
    return tuple(rows)


_PARAMETERS = Chapter(
    T("Parameters", "参数"),
    (
        Para(
            T(
                "Parameters marked * can be changed at standstill only. P6 is read-only.",
                "带 * 的参数只能在停机时修改。P6 组为只读。",
            )
        ),
        Grid(
            T("Parameter list", "参数表"),
            (
                T("Code", "参数号"),
                T("Name and setting", "名称与设定"),
                T("Range", "范围"),
                T("Default", "出厂值"),
                T("Unit", "单位"),
            ),
            _parameter_rows(_PARAMETER_ROWS),
            (0.10, 0.54, 0.16, 0.11, 0.09),
        ),
    ),
)

_MODBUS = Chapter(
    T("MODBUS registers", "MODBUS 寄存器"),
    (
        Para(
            T(
                "MODBUS RTU, functions 03h, 06h and 10h. A parameter's register is its group in"
                " the high byte and its number in the low byte: P2.03 is 0203h. Writing there is"
                " stored permanently; use 2000h and 2001h for cyclic values.",
                "MODBUS RTU，支持功能码 03h、06h 和 10h。参数寄存器地址高字节为组号，低字节为序号："
                "P2.03 为 0203h。写参数会永久保存；循环数据请使用 2000h 和 2001h。",
            )
        ),
        Grid(
            T("Control and status registers", "控制与状态寄存器"),
            (
                T("Register", "寄存器"),
                T("Access", "读写"),
                T("Meaning", "含义"),
                T("Scale", "比例"),
            ),
            (
                (
                    "2000h",
                    "W",
                    T(
                        "Command: 1 forward, 2 reverse, 5 ramp stop, 6 coast, 7 fault reset",
                        "控制命令：1 正转，2 反转，5 减速停车，6 自由停车，7 故障复位",
                    ),
                    "–",
                ),
                ("2001h", "R/W", T("Frequency set point", "频率给定"), "0.01 Hz"),
                (
                    "2100h",
                    "R",
                    T(
                        "Status: bit 0 ready, 1 running, 2 reverse, 3 fault, 4 warning, 5 STO",
                        "状态：位 0 就绪，1 运行，2 反转，3 故障，4 警告，5 STO",
                    ),
                    "–",
                ),
                ("2101h", "R", T("Output frequency", "输出频率"), "0.01 Hz"),
                ("2102h", "R", T("Output current", "输出电流"), "0.1 A"),
                ("2103h", "R", T("DC bus voltage", "直流母线电压"), "0.1 V"),
                ("2104h", "R", T("Heatsink temperature", "散热器温度"), "0.1 °C"),
                (
                    "2110h",
                    "R",
                    T(
                        "Active fault: 5 stands for E005, 0 for none",
                        "当前故障：5 表示 E005，0 表示无故障",
                    ),
                    "–",
                ),
                (
                    "2111h",
                    "R",
                    T("Active warning: 2 stands for A002", "当前警告：2 表示 A002"),
                    "–",
                ),
            ),
            (0.14, 0.12, 0.56, 0.18),
        ),
    ),
)

_FAULT_CODES = Chapter(
    FAULT_TITLE,
    (
        Para(
            T(
                "On a fault the output is blocked, relay R1 changes over, ALM is lit and the code"
                " is shown. Remove the cause first; then reset with STOP/RESET, with DI3 or with"
                " command 7 in register 2000h. The last three faults are kept in P6.00 to P6.02.",
                "发生故障时封锁输出，继电器 R1 动作，ALM 点亮并显示故障代码。请先排除原因，"
                "再用 STOP/RESET 键、DI3 或寄存器 2000h 的命令 7 复位。"
                "最近三次故障保存在 P6.00 至 P6.02。",
            )
        ),
        FaultTable(),
        Grid(
            T("Warnings: the motor goes on running", "警告：电机继续运行"),
            (T("Code", "代码"), T("Warning", "警告"), T("What to do", "处理方法")),
            (
                (
                    "A001",
                    T("Heatsink above 78 °C", "散热器温度超过 78 °C"),
                    T("Check fan and filters before E013 trips", "在 E013 跳闸前检查风扇和滤网"),
                ),
                (
                    "A002",
                    T("Motor model above 90 %", "电机热模型超过 90 %"),
                    T("Reduce the load before E010 trips", "在 E010 跳闸前减轻负载"),
                ),
                (
                    "A003",
                    T("4–20 mA signal lost, last value held", "4–20 mA 断线，保持最后值"),
                    T("Check sensor and wiring, see E025", "检查传感器和接线，参见 E025"),
                ),
                (
                    "A004",
                    T("MODBUS timeout, last set point held", "MODBUS 超时，保持最后给定值"),
                    T("Check the bus, see E015", "检查通信，参见 E015"),
                ),
                (
                    "A005",
                    T("Fan has run 40 000 h", "风扇累计运行 40 000 h"),
                    T("Replace the fan at the next stop", "下次停机时更换风扇"),
                ),
            ),
            (0.09, 0.41, 0.50),
        ),
    ),
)

_SYMPTOMS = Chapter(
    T("Troubleshooting by symptom", "按现象排查"),
    (
        Section(T("The display stays dark", "面板无显示")),
        Para(
            T(
                "Measure all three phases at R, S, T. If the mains is there, pull off the control"
                " plug: a short circuit of the 24 V supply can hold the control board down. If"
                " the display is still dark and the DC bus carries more than 500 V, the internal"
                " power supply is defective.",
                "测量 R、S、T 三相电压。若电源正常，拔下控制端子：24 V 电源短路会使控制板无法启动。"
                "若仍无显示而直流母线高于 500 V，则内部开关电源损坏。",
            )
        ),
        Section(T("The motor does not turn, no fault is shown", "电机不转且无故障显示")),
        Para(
            T(
                "If the display shows StO, Safe Torque Off is active: check 24 V at STO1 and"
                " STO2. If RUN is lit and the frequency is 0.00, the reference is missing: check"
                " P0.02 and the voltage at AI1. If RUN is dark, check P0.01 and the status of"
                " DI1.",
                "若显示 StO，说明安全转矩关断生效：检查 STO1 和 STO2 的 24 V。"
                "若 RUN 亮而频率为 0.00，"
                "说明无频率给定：检查 P0.02 和 AI1 电压。若 RUN 不亮，检查 P0.01 和 DI1 状态。",
            )
        ),
        Section(T("The motor is noisy or hunts", "电机噪声大或转速振荡")),
        Para(
            T(
                "A whistle at constant pitch comes from the carrier frequency: raise P0.08 and"
                " mind the derating of 5 % per kilohertz above 4 kHz. Hunting at low speed calls"
                " for less torque boost P2.00 or, in vector mode, for a new identification.",
                "音调恒定的啸叫来自载波频率：提高 P0.08，并注意 4 kHz 以上每 1 kHz 降额 5 %。"
                "低速振荡时减小转矩提升 P2.00；矢量方式下重新进行电机辨识。",
            )
        ),
        Section(T("The residual current device trips", "剩余电流保护器跳闸")),
        Para(
            T(
                "Check that the device is of type B. Shorten the motor cable or lower P0.08;"
                " several inverters behind one device add up their leakage currents.",
                "确认保护器为 B 型。缩短电机电缆或降低 P0.08；"
                "同一保护器后接多台变频器时漏电流会叠加。",
            )
        ),
    ),
)

_MAINTENANCE = Chapter(
    T("Maintenance", "维护"),
    (
        Grid(
            T("Maintenance schedule", "维护计划"),
            (T("Interval", "周期"), T("Part", "部件"), T("Work", "内容")),
            (
                (
                    T("Monthly", "每月"),
                    T("Cabinet filters, panel", "柜体滤网、面板"),
                    T("Clean the filters, note P6.06 at full load", "清洁滤网，记录满载时 P6.06"),
                ),
                (
                    T("Every 6 months", "每 6 个月"),
                    T("Heatsink, fan", "散热器、风扇"),
                    T("Blow out, listen for bearing noise", "吹扫，检查轴承异响"),
                ),
                (
                    T("Yearly", "每年"),
                    T("Terminals, PE, Safe Torque Off", "端子、PE、安全转矩关断"),
                    T(
                        "Retighten to Table 4-1, test STO and record it",
                        "按表 4-1 紧固，测试 STO 并记录",
                    ),
                ),
                (
                    T("40 000 h or 5 years", "40 000 h 或 5 年"),
                    T("Fan", "风扇"),
                    T(
                        "Replace: spare part FD40-FAN and frame letter",
                        "更换：备件 FD40-FAN 加机箱字母",
                    ),
                ),
                (
                    T("10 years", "10 年"),
                    T("DC bus capacitors", "直流母线电容"),
                    T("Have them replaced by the service", "由服务部门更换"),
                ),
            ),
            (0.22, 0.30, 0.48),
        ),
        Para(
            T(
                "To replace the fan, switch off and wait 10 minutes, press both catches on top"
                " of the housing, lift the fan out, unplug it, and fit the new one with the arrow"
                " pointing upwards. Switch on and clear A005 with P0.10 = 2.",
                "更换风扇：断电并等待 10 分钟，按下机箱顶部两个卡扣，取出风扇并拔下插头，"
                "装上新风扇，箭头朝上。重新上电，用 P0.10 = 2 清除 A005。",
            )
        ),
    ),
)

_DISPOSAL = Chapter(
    T("Disposal", "报废处理"),
    (
        Para(
            T(
                "The inverter contains electrolytic capacitors and electronic boards and must"
                " not go into household waste. Discharge the DC bus, take out the boards and"
                " capacitors, and hand all parts to a licensed recycler of electrical equipment.",
                "变频器内含电解电容和电子线路板，不得作为生活垃圾处理。请将直流母线放电，"
                "拆下线路板和电容，交由有资质的电子废弃物回收单位处理。",
            )
        ),
    ),
)

_CONTACT = Chapter(
    T("Service and contact", "服务与联系方式"),
    (
        Para(
            T(
                "Kelvarn Antriebe, Technical Service, Berlin. E-mail service@kelvarn.example,"
                " telephone +49 30 23125 040, Monday to Friday 7:00 to 17:00. Have type code,"
                " serial number, P6.00 to P6.05 and a list of changed parameters at hand.",
                "Kelvarn 技术服务部（柏林）。电子邮件 service@kelvarn.example，"
                "电话 +49 30 23125 040，"
                "周一至周五 7:00 至 17:00。"
                "联系时请准备好型号、序列号、P6.00 至 P6.05 以及修改过的参数清单。",
            )
        ),
    ),
)

CHAPTERS: tuple[Chapter, ...] = (
    _SAFETY,
    _PRODUCT,
    _MECHANICAL,
    _ELECTRICAL,
    _PANEL,
    _COMMISSIONING,
    _PARAMETERS,
    _MODBUS,
    _FAULT_CODES,
    Chapter(T("Fault descriptions", "故障详细说明"), (FaultEntries(),)),
    _SYMPTOMS,
    _MAINTENANCE,
    _DISPOSAL,
    _CONTACT,
)
"""The chapters in order; chapter 12 is maintenance and chapter 3 the mechanical installation,
as the remedies say."""
