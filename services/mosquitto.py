"""Where Mosquitto lies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from services.runtime.errors import Fatal

_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_PLUGIN = "mosquitto_dynamic_security.so"
_LIBRARIES = ("usr/lib/*", "usr/lib", "usr/local/lib")


def program(name: str) -> str:
    """Return where a program of Mosquitto's lies; Debian keeps some where PATH does not look.

    Raises:
        Fatal: it is not installed.
    """
    if found := shutil.which(name, path=_PLACES):
        return found
    raise Fatal("start broker", f"{name} is not installed", "apt-get install mosquitto")


def plugin_file() -> Path:
    """Return where its security plugin lies; Debian has it in a folder by architecture.

    Raises:
        Fatal: it is not installed.
    """
    for folder in _LIBRARIES:
        for found in Path("/").glob(f"{folder}/{_PLUGIN}"):
            return found
    raise Fatal("start broker", f"{_PLUGIN} is not installed", "apt-get install mosquitto")
