"""The Debian packages a minimal Debian 12 lacks, with all they depend on, as a folder apt can read.

apt itself says what depends on what, asked about a machine on which nothing is installed; its
lists and what it downloads are kept in a folder of ours, so nobody needs to be root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

WANTED = ("python3", "mosquitto", "mosquitto-clients", "openssl", "ca-certificates")
FOR_OCR = ("tesseract-ocr", "tesseract-ocr-eng", "tesseract-ocr-chi-sim")
_PRESENT = ("apt", "base-files", "libc6", "systemd", "systemd-sysv")
"""What every box has beside the packages of priority `required`."""


_SIZE = "Installed-Size: "


class Apt:
    """apt with a state of its own: this machine's sources, but nothing installed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_text("")

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        """Run apt-get or apt-cache; return what it prints."""
        options = {
            "Dir::State::status": self._folder / "status",
            "Dir::State::lists": self._folder / "lists",
            "Dir::State::extended_states": self._folder / "extended",
            "Dir::Cache": self._folder / "cache",
            "Dir::Log": self._folder,
            "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
            "APT::Install-Recommends": "false",
            "Debug::NoLocking": "true",
        }
        named = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        command = [program, "-qq", *named, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd)
        if done.returncode:
            raise SystemExit(f"{program} {' '.join(arguments)}:\n{done.stderr}")
        return done.stdout

    def closure(self, *packages: str) -> dict[str, str]:
        """Return what installing packages on an empty machine takes: version by name."""
        simulated = self.run("apt-get", "--simulate", "install", *packages)
        words = (line.split() for line in simulated.splitlines() if line.startswith("Inst "))
        return {name: version.lstrip("(") for _, name, version, *_ in words}


def gather(folder: Path, cache: Path, *, ocr: bool) -> tuple[tuple[str, ...], int]:
    """Put packages and their index into a folder; return the names asked for and their size, MiB.

    Args:
        folder: where they go; made anew.
        cache: what is kept between two calls.
        ocr: whether to take tesseract along.

    Raises:
        SystemExit: this is no Debian 12, or apt cannot have them.
    """
    if 'VERSION_ID="12"' not in Path("/etc/os-release").read_text(encoding="utf-8"):
        raise SystemExit("A bundle for Debian 12 is made on Debian 12: it takes its packages along")
    wanted = (*WANTED, *FOR_OCR) if ocr else WANTED
    apt = Apt(cache)
    apt.run("apt-get", "update")
    everywhere = apt.closure(*_required(apt), *_PRESENT)
    ours = {
        name: version
        for name, version in apt.closure(*wanted).items()
        if name in wanted or name not in everywhere
    }
    kept = cache / "packages"
    kept.mkdir(exist_ok=True)
    exactly = [f"{name}={version}" for name, version in sorted(ours.items())]
    apt.run("apt-get", "download", *exactly, cwd=kept)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    told = apt.run("apt-cache", "show", *exactly).strip().split("\n\n")
    index = [_taken(stanza, kept, folder) for stanza in told]
    (folder / "Packages").write_text("\n\n".join(index) + "\n", encoding="utf-8")
    sizes = [int(line.split()[1]) for text in index for line in text.splitlines() if _SIZE in line]
    return wanted, sum(sizes) // 1024 + 1


def _required(apt: Apt) -> list[str]:
    """Return the packages without which no Debian is installed."""
    stanzas = apt.run("apt-cache", "dumpavail").split("\n\n")
    found = set()
    for stanza in stanzas:
        lines = set(stanza.splitlines())
        if "Priority: required" in lines or "Essential: yes" in lines:
            found.add(stanza.split("\n", 1)[0].removeprefix("Package: "))
    return sorted(found)


def _taken(stanza: str, kept: Path, folder: Path) -> str:
    """Copy one package; return its paragraph of the index."""
    lines = stanza.splitlines()
    fields = dict(line.split(": ", 1) for line in lines if ": " in line and line[0] != " ")
    name, version, arch = (fields[key] for key in ("Package", "Version", "Architecture"))
    file = kept / f"{name}_{version.replace(':', '%3a')}_{arch}.deb"
    # A colon in a file's name is none on a stick formatted for Windows, a % is not what apt reads.
    plain = f"{name}_{version.replace(':', '.')}_{arch}.deb"
    shutil.copy2(file, folder / plain)
    dropped = ("Filename:", "Description-md5:", "MD5sum:", "Homepage:", "Tag:", " ")
    own = [line for line in lines if not line.startswith(dropped)]
    return "\n".join([*own, f"Filename: ./{plain}"])
