"""Where backups go: a folder that is really there, and not on the disk it is to save."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.runtime.errors import Rejected, Retryable

MOUNTED_HERE = (Path("/media"), Path("/mnt"), Path("/run/media"), Path("/run/andonstick"))
"""Below these nothing is on the box itself."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_GONE = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOENT, errno.ENOTCONN}


def refuse(folder: Path, data: Path, *, mounts: str = "", fstab: str = "") -> None:
    """Refuse a folder that would fill the box's own disk, or is none.

    Args:
        folder: where backups are to go.
        data: what is to be backed up.
        mounts: text of /proc/self/mounts; empty: read it.
        fstab: text of /etc/fstab; empty: read it.

    Raises:
        Rejected: it is.
    """
    folder, data = folder.resolve(), data.resolve()
    if folder == data or data in folder.parents or folder in data.parents:
        raise _no(folder, f"{folder} and the data folder {data} are one in the other")
    mounted = set(_points(mounts or _read("/proc/self/mounts")))
    for point in _points(fstab or _read("/etc/fstab")):
        if point != Path("/") and point not in mounted and point in (folder, *folder.parents):
            raise _no(folder, f"{point} is not mounted", f"mount it: `mount {point}`")
    above = [one for one in MOUNTED_HERE if one in (folder, *folder.parents)]
    own = [one for one in (folder, *folder.parents) if one in mounted and one != Path("/")]
    if above and not any(one == above[0] or above[0] in one.parents for one in own):
        raise _no(folder, f"nothing is mounted at {folder}", "put the stick in, or mount the share")
    if not folder.is_dir() and not folder.parent.is_dir():
        raise _no(folder, f"{folder.parent} does not exist", "make the folder")


def _no(folder: Path, reason: str, hint: str = "name another folder") -> Rejected:
    return Rejected(f"back up to {folder}", reason, hint)


def _points(table: str) -> Iterator[Path]:
    """Yield the mount points of a table in the form of fstab(5)."""
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > 1 and not fields[0].startswith("#") and fields[1].startswith("/"):
            text = fields[1].encode("utf-8", "surrogateescape").decode("unicode_escape")
            yield Path(text.encode("latin-1").decode("utf-8", "surrogateescape"))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return "\n"


def same_disk(folder: Path, data: Path) -> bool:
    """Return whether both are lost with the same disk."""
    return folder.stat().st_dev == data.stat().st_dev


def is_full(error: OSError) -> bool:
    """Return whether there is no room."""
    return error.errno in _FULL


class Steady:
    """A folder that must stay the file system it was: a stick may be pulled out at any moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._device = folder.stat().st_dev

    def look(self) -> None:
        """Raise OSError when it is another one, such as an empty mount point."""
        if self._folder.stat().st_dev != self._device:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(self._folder))


@contextmanager
def on(folder: Path, operation: str) -> Iterator[None]:
    """Tell what an error of a disk means.

    Raises:
        Retryable: it is full, gone, or fails.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            free = _free(folder)
            raise Retryable(
                operation,
                f"{folder} is full{free}; nothing of this backup counts, former ones stay",
                "keep fewer backups (backup.keep), or use a larger disk",
            ) from error
        if error.errno in _GONE:
            raise Retryable(
                operation,
                f"{folder} went away or fails: {error.strerror}; nothing of this backup counts,"
                " former ones stay",
                "put the stick in again, or look at the share, and start once more",
            ) from error
        raise Retryable(
            operation, f"{error.filename or folder}: {error.strerror}", f"look at {folder}"
        ) from error


def _free(folder: Path) -> str:
    try:
        return f" ({shutil.disk_usage(folder).free / 2**20:.0f} MB free)"
    except OSError:
        return ""
