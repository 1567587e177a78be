"""Files that root leaves in a folder of another user, who may put links in its way.

Whoever takes over a service is its user. A file or folder that root opens there by its name may
then be any of the system's; so each is made anew, and given away by its descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened(path: Path | str, within: int | None = None) -> Iterator[int]:
    """Yield the descriptor of a folder; `within` another one it may be no link. Raises OSError."""
    flags = _FOLDER if within is None else _FOLDER | os.O_NOFOLLOW
    descriptor = os.open(path, flags, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def made(folder: Path, name: str, mode: int) -> Iterator[Path]:
    """Make a folder; yield a path that leads there whatever becomes of its name meanwhile.

    What is in it stays ours, unless `mode` lets others write.

    Raises:
        OSError: it cannot be made, or in the end another one lies in its place.
    """
    path = folder / name
    with opened(folder) as outer:
        os.mkdir(name, 0o700, dir_fd=outer)
        with opened(name, outer) as inside:
            own = os.fstat(inside)
            if own.st_uid != os.geteuid():
                raise another(path)
            os.fchmod(inside, mode)
            steady = f"/proc/self/fd/{inside}"
            try:
                yield Path(steady)
            except OSError as error:
                if isinstance(error.filename, str):  # people know it by its name
                    error.filename = error.filename.replace(steady, str(path), 1)
                raise
            if not os.path.samestat(own, os.stat(name, dir_fd=outer, follow_symlinks=False)):
                raise another(path)


def another(path: Path) -> OSError:
    """Return what to raise where a name leads to something that is not ours."""
    return PermissionError(errno.EPERM, "somebody put another one in its place", str(path))


def create(name: str, within: int) -> int:
    """Make a file that only its owner may read; return its descriptor. Raises OSError."""
    return os.open(name, _NEW, 0o600, dir_fd=within)


def give(descriptor: int, owner: os.stat_result) -> None:
    """Give what is open to an owner, where we are root. Raises OSError."""
    if os.geteuid() == 0:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def unfinished(name: str) -> str:
    """Return the pattern of what is left of writing a file where that was cut off."""
    return f".{name}.*.new"


def put(path: Path, data: bytes, *, mode: int) -> None:
    """Replace a file as a whole; it belongs to whom its folder does. Raises OSError."""
    with opened(path.parent) as folder:
        _replace(path.name, data, mode, folder, os.fstat(folder))


def put_below(folder: Path, below: Path, data: bytes, *, mode: int) -> None:
    """Replace a file of a folder in a folder, which is made if need be. Raises OSError."""
    with opened(folder) as outer:
        owner = os.fstat(outer)
        try:
            os.mkdir(below.parent, 0o700, dir_fd=outer)
            made = True
        except FileExistsError:
            made = False
        with opened(below.parent, outer) as inner:
            if made:
                give(inner, owner)
            _replace(below.name, data, mode, inner, owner)


def _replace(name: str, data: bytes, mode: int, folder: int, owner: os.stat_result) -> None:
    new = unfinished(name).replace("*", secrets.token_hex(8))
    try:
        with os.fdopen(create(new, folder), "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            give(file.fileno(), owner)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new, dir_fd=folder)
        raise
    os.fsync(folder)
