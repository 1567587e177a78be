"""What a question would have to wait for inside the process, kept short."""

from __future__ import annotations

import gc
import sys

SWITCH_S = 0.0005
"""A thread that wants the interpreter gets it after so long, seconds. A search hands over between
threads half a dozen times. Python's own 5 ms made it wait ten times as long, 420 ms instead of 40,
while another thread prepares passages without a pause; that takes a fifth longer for it."""


def keep_short() -> None:
    """Hand over between threads soon; take what is loaded by now out of garbage collection.

    A full collection looks at everything that was loaded, the trade's words above all: 20 ms in
    which no question is answered, once in some hundred questions.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
