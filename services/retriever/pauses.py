"""What a question would have to wait for inside the process, kept short."""

from __future__ import annotations

import gc
import sys

SWITCH_S = 0.0001
"""A thread that wants the interpreter gets it after so long, seconds. A search hands over between
threads a dozen times. While another thread prepares passages without a pause it takes 420 ms with
Python's own 5 ms, 50 with 0.5 and 21 with 0.1, and that thread a fifth longer with either."""


def keep_short() -> None:
    """Hand over between threads soon; take what is loaded by now out of garbage collection.

    A full collection looks at everything that was loaded, the trade's words above all: 20 ms in
    which no question is answered, once in some hundred questions.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()
