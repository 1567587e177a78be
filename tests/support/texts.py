"""Technical texts of our own, in both languages: single sentences and short paragraphs."""

from __future__ import annotations

_ENGLISH = """
E005 DC bus undervoltage: the mains voltage was too low or the precharge relay did not close.
Check the three input phases at the terminals R, S and T before you reset the fault.
The acceleration time is set with parameter P0.17; a short time causes overcurrent while starting.
If the motor stalls at low speed, raise the torque boost in steps of one percent.
Disconnect the drive from the mains and wait ten minutes until the capacitors are discharged.
The braking resistor becomes hot during operation and must not be touched.
Overtemperature of the heat sink: clean the fan filter and measure the ambient temperature.
A ground fault in the motor cable is detected when the sum of the three phase currents is not zero.
The encoder cable must be shielded, and the shield connected on both sides.
Replace the backup battery of the controller every five years, with the supply switched on.
Press STOP/RESET for two seconds to acknowledge the alarm; the code disappears from the display.
The cell voltage difference exceeds 0.05 V, so the balancer starts to transfer charge.
Communication timeout: no valid telegram was received from the master within 500 ms.
Set the station address between 1 and 247 and the baud rate to 19200 bit/s, eight data bits, even.
The analog input expects 4 to 20 mA; below 3 mA the wire is considered broken.
Grease the linear guide after every 500 hours of operation with 2 ml of lithium grease.
The robot stops in front of a singularity because the joint speed would exceed its limit.
Spindle does not reach the set speed: check the belt tension and the parameter for the gear ratio.
Low lubricant pressure; refill the tank and bleed the pump before you start again.
The hydraulic pressure switch S12 did not close within three seconds after pump start.
Emergency stop circuit open: release all buttons, then press the blue reset button.
When the light curtain is interrupted, the press stops in the upper dead centre.
Measure the insulation resistance between each phase and ground; it must exceed 5 megohms.
The firmware of both modules has to be of the same version, otherwise the bus does not start.
Fault 7: position deviation too large; check the load, the gain and the electronic gear.
Motor overload: the calculated temperature of the winding has reached 130 °C.
The touch panel shows a blank screen after power-up when the memory card is missing.
Tighten the terminal screws with a torque of 1.2 Nm and check them after the first month.
Use a fuse of class gG with 25 A and a cable of at least 4 square millimetres.
The output frequency stays at zero because the enable input X1:7 is not connected to 24 V.
The pump runs dry: the suction valve is closed or the level sensor in the tank is dirty.
Vacuum is not reached within the time limit; inspect the suction cups and hoses for leaks.
Auto-tuning failed since the shaft was not free to turn; uncouple the load and repeat it.
Cooling water flow is below 8 litres per minute and the laser source has been switched off.
Save the parameters to the memory card before a firmware update, and load them afterwards.
The conveyor's photo sensor is covered for longer than the jam time that has been set.
"""
_CHINESE = """
E005 直流母线欠压：输入电压过低，或者预充电继电器没有吸合。
复位故障之前，请检查输入端子 R、S、T 的三相电压是否正常。
加速时间由参数 P0.17 设定，时间过短会在启动时引起过流。
如果电机低速时堵转，请逐步提高转矩提升，每次百分之一。
断开变频器电源，等待十分钟，直到电容放电完毕后再进行操作。
制动电阻在运行中温度很高，请勿触摸。
散热器过热：清洁风扇滤网，并测量环境温度。
当三相电流之和不为零时，判断为电机电缆对地短路。
编码器电缆必须使用屏蔽线，屏蔽层两端接地。
控制器的后备电池每五年更换一次，更换时请保持通电。
按住停止/复位键两秒可确认报警，显示器上的代码随即消失。
单体电压差超过 0.05V，均衡器开始转移电荷。
通讯超时：500 毫秒内没有收到主站的有效报文。
站地址设置为 1 到 247，波特率 19200，八位数据位，偶校验。
模拟量输入为 4 到 20 毫安，低于 3 毫安时判断为断线。
直线导轨每运行 500 小时加注 2 毫升锂基润滑脂。
机器人在奇异点之前停止，因为关节速度将超过限制。
主轴达不到设定转速：检查皮带张力以及齿轮比参数。
润滑油压力低，请加满油箱并给油泵排气后再启动。
油泵启动后三秒内液压压力开关 S12 没有闭合。
急停回路断开：松开所有急停按钮，然后按下蓝色复位按钮。
光幕被遮挡时，压力机停在上死点。
测量各相对地绝缘电阻，必须大于 5 兆欧。
两个模块的固件版本必须一致，否则总线无法启动。
故障 7：位置偏差过大，请检查负载、增益和电子齿轮。
电机过载：计算得到的绕组温度已达到 130 度。
没有插入存储卡时，触摸屏上电后显示空白。
端子螺钉的紧固力矩为 1.2 牛米，一个月后再次检查。
请使用 25 安的熔断器和不小于 4 平方毫米的电缆。
使能输入 X1:7 没有接到 24V，因此输出频率保持为零。
水泵空转：进水阀关闭，或者水箱液位传感器脏污。
在规定时间内未达到真空度，请检查吸盘和气管是否漏气。
自整定失败，因为电机轴不能自由转动，请脱开负载后重试。
冷却水流量低于每分钟 8 升，激光器已经关闭。
升级固件之前请把参数保存到存储卡，升级之后再装载。
输送带的光电传感器被遮挡的时间超过了设定的堵料时间。
"""


def _texts(block: str) -> list[str]:
    """36 sentences, and 14 paragraphs of four to six of them."""
    lines = block.strip().splitlines()
    joined = [" ".join(lines[n : n + 4 + n % 3]) for n in range(0, 28, 2)]
    return lines + joined


ENGLISH = _texts(_ENGLISH)
"""50 English texts."""
CHINESE = _texts(_CHINESE)
"""50 Chinese texts."""
