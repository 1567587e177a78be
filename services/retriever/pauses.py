"""What a question would have to wait for inside the process, kept short."""

from __future__ import annotations

import gc
import sys

SWITCH_S = 0.0005
"""A thread that wants the interpreter gets it after so long, seconds. A search hands over between
threads half a dozen times, and with Python's 5 ms its embedding waits for the question to be taken
apart before it begins, and each step of it for whatever thread prepares passages."""


def keep_short() -> None:
    """Hand over between threads soon; take what is loaded by now out of garbage collection.

    A full collection looks at everything that was loaded, the trade's words above all: 20 ms in
    which no question is answered, once in some hundred questions.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
