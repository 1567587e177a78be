"""Settings for all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no mistake of the code's: no test asserts a wall-clock time.
settings.register_profile("andon", deadline=None)
settings.load_profile("andon")
