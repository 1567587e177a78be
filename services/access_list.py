"""Who has access to the broker, as `andon access` keeps it: one file, replaced as a whole."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from services.roles import Role
from services.runtime.durable import sync
from services.runtime.errors import Fatal

FILE = "access.json"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without what looks alike, as some are typed in on a scanner."""
_LENGTH = 20
_ITERATIONS = 101
"""As the plugin's own: more would slow down the broker, and 99 random bits need no more."""
_SALT = 12
_READ = "read who has access"


class Password(msgspec.Struct, frozen=True, kw_only=True):
    """What tells whether a password is right: PBKDF2 with SHA-512, as Mosquitto's plugin has it."""

    salt: str
    """12 bytes, base64."""
    hash: str
    """64 bytes, base64."""
    iterations: int
    """How often."""

    @classmethod
    def of(cls, word: str) -> Password:
        """Return that of a password."""
        salt = secrets.token_bytes(_SALT)
        key = hashlib.pbkdf2_hmac("sha512", word.encode(), salt, _ITERATIONS)
        salted, hashed = (base64.b64encode(raw).decode() for raw in (salt, key))
        return cls(salt=salted, hash=hashed, iterations=_ITERATIONS)


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A person's or machine's access."""

    name: str
    """User name and client id."""
    roles: tuple[Role, ...]
    """What it may do."""
    assets: tuple[str, ...] = ()
    """Machines it is limited to; none: all."""
    password: Password
    """Of its password."""
    created: str = ""
    """When, RFC 3339 UTC."""
    certificate: bool = False
    """Whether one was made for it."""


class Plant(msgspec.Struct, frozen=True, kw_only=True):
    """How the plant reaches the broker."""

    hosts: tuple[str, ...] = ()
    """Names and addresses the certificate is good for; the first is the one to tell."""
    tls_port: int = 8883
    """Port with TLS; 0: none."""
    plain_port: int = 0
    """Port without; 0: none."""
    certificates: bool = False
    """Whether clients must have a certificate as well."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    plant: Plant = Plant()
    """How the plant reaches the broker."""
    own: dict[str, Password] = {}
    """Andon's own users."""
    clients: tuple[Client, ...] = ()
    """People and machines, by name."""

    def client(self, name: str) -> Client | None:
        """Return a client by name."""
        return next((one for one in self.clients if one.name == name), None)

    def without(self, name: str) -> Access:
        """Return it with a client less."""
        left = tuple(one for one in self.clients if one.name != name)
        return msgspec.structs.replace(self, clients=left)

    def with_client(self, client: Client) -> Access:
        """Return it with a client more, or anew."""
        clients = sorted((*self.without(client.name).clients, client), key=lambda one: one.name)
        return msgspec.structs.replace(self, clients=tuple(clients))


def new_password() -> str:
    """Return a password of 99 random bits that can be typed in."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def load(folder: Path) -> Access:
    """Read the file.

    Raises:
        Fatal: it is not there, may not be read, or is damaged.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Access)
    except FileNotFoundError:
        raise Fatal(_READ, f"{path} is not there", "`andon access init` makes it") from None
    except PermissionError:
        raise Fatal(_READ, f"{path}: may not be read", "run it as root") from None
    except msgspec.DecodeError as error:
        hint = "bring it back from a backup, or remove it and run `andon access init`"
        raise Fatal(_READ, f"{path} is damaged: {error}", hint) from error


def save(folder: Path, access: Access, group: str) -> None:
    """Write the file: whole or not at all, whatever happens meanwhile.

    Args:
        folder: where it lies.
        access: what to write.
        group: who may read it beside its owner: that of the broker.
    """
    text = msgspec.json.format(msgspec.json.encode(access), indent=1)
    write_whole(folder / FILE, text + b"\n", mode=0o640, group=group)


def write_whole(path: Path, data: bytes, *, mode: int, group: str = "") -> None:
    """Replace a file by another one that is on the disk.

    Raises:
        Fatal: it cannot be written.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if group:
            shutil.chown(new, group=group)
        new.chmod(mode)
        new.replace(path)
        sync(path.parent)
    except LookupError as error:
        raise Fatal(f"write {path}", f"there is no group {group}", "name one: --group") from error
    except OSError as error:
        hint = "run it as root" if isinstance(error, PermissionError) else ""
        raise Fatal(f"write {path}", str(error.strerror), hint) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other `andon access` commands waiting.

    Raises:
        Fatal: the folder cannot be written.
    """
    path = folder / f".{FILE}.lock"
    try:
        lock = path.open("w")
    except OSError as error:
        hint = "run it as root"
        raise Fatal("change who has access", f"{path}: {error.strerror}", hint) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
