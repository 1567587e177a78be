"""`make bundle`: one file with all that a box needs, made with the network, installed without."""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path

from deploy.bundle import debs, schema, wheels

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "andon" / "bundle"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
COPIED = ("README.md", "CHANGELOG.md", "LICENSE", "docs")
DEPLOYED = ("systemd", "broker", "profiles", "setup", "config.example.yaml")
_EPOCH = 315532800  # 1980, the first year that every file system knows


def main() -> None:
    """Make the bundle."""
    parser = argparse.ArgumentParser(prog="make bundle", description=__doc__)
    parser.add_argument("--with-ocr", action="store_true", help="tesseract, to read scans")
    parser.add_argument("--with-llama", type=Path, metavar="PROGRAM", help="a llama-server")
    parser.add_argument("--out", type=Path, default=ROOT / "build", help="folder it goes to")
    options = parser.parse_args()

    arch = ARCHITECTURES[platform.machine()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = f"andon-{project['version']}-{arch}"
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.out) as work:
        folder = Path(work) / name
        folder.mkdir()
        print("Python packages")
        made = wheels.gather(ROOT, folder / "wheels", CACHE)
        print("Debian packages")
        wanted, packages_mb = debs.gather(folder / "debs", CACHE / "apt", ocr=options.with_ocr)
        _copy(folder, options.with_llama)
        facts = {
            "name": "andon",
            "version": project["version"],
            "arch": arch,
            "packages": " ".join(wanted),
            "mb_packages": packages_mb,
            **{
                f"mb_{node}": wheels.unpacked_bytes(folder / "wheels", names) // 2**20 + 1
                for node, names in made.items()
            },
            **{f"schema_{name}": number for name, number in schema.versions().items()},
        }
        lines = "".join(f"{key}={value}\n" for key, value in facts.items())
        (folder / "MANIFEST").write_text(lines, encoding="utf-8")
        _checksums(folder)
        archive = options.out / f"{name}.tar"
        _pack(folder, archive)
    print(f"{archive} ({archive.stat().st_size / 2**20:.0f} MB)")


def _copy(folder: Path, llama: Path | None) -> None:
    """Copy what stands in the checkout and is followed by git; the rest may be anything."""
    listed = ["git", "ls-files", "-z", "--", *COPIED, *(f"deploy/{part}" for part in DEPLOYED)]
    done = subprocess.run(listed, check=True, capture_output=True, text=True, cwd=ROOT)
    for file in filter(None, done.stdout.split("\0")):
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, target)
    shutil.copy2(ROOT / "deploy" / "install.sh", folder / "install.sh")
    (folder / "bin").mkdir()
    shutil.copy2(ROOT / "deploy" / "andon", folder / "bin" / "andon")
    if llama:
        shutil.copy2(llama, folder / "bin" / "llama-server")


def _checksums(folder: Path) -> None:
    """Write SHA256SUMS of all other files, as sha256sum reads it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{_sha256(path)}  {path.relative_to(folder)}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pack(folder: Path, archive: Path) -> None:
    """Write the archive, whose files are compressed already: the same files, the same bytes."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = _EPOCH
        runs = info.isdir() or info.mode & 0o100
        info.mode = 0o755 if runs else 0o644
        return info

    part = archive.with_suffix(".part")
    with tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as packed:
        for path in sorted([folder, *folder.rglob("*")]):
            packed.add(path, str(path.relative_to(folder.parent)), recursive=False, filter=plain)
    part.replace(archive)


if __name__ == "__main__":
    main()
