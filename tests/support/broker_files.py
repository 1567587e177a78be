"""Files of Mosquitto's that it cannot read."""

from __future__ import annotations

import struct


def spoiled(whole: bytes) -> bytes:
    """A file of Mosquitto's whose chunks are in order, with a message it cannot read."""
    at = 23
    while (chunk := struct.unpack(">II", whole[at : at + 8]))[0] != 2:
        at += 8 + chunk[1]
    length_of_topic = at + 8 + 26  # persist.h of Mosquitto 2.0, PF_msg_store
    return whole[:length_of_topic] + b"\xff\xff" + whole[length_of_topic + 2 :]
