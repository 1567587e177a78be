"""How what is kept is named and closed: open to everybody, or sealed with a key.

Sealed with XChaCha20-Poly1305 under a key that argon2id makes of the key file. What is sealed is
named by a keyed hash: an unkeyed one would tell who has the stick which known manuals are on it.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Annotated, Protocol

import msgspec

from services.runtime.errors import AndonError, Fatal, Rejected

SHORTEST = 12
"""Bytes of a key file at least."""
LONGEST = 65_536


class NotOpened(Exception):
    """Sealed bytes are not what was sealed with this key under this name."""


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed, beside the key file, to make the key again. No secret."""

    salt: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    """16 bytes, hexadecimal."""
    passes: Annotated[int, msgspec.Meta(ge=1, le=64)] = 8
    """argon2id's operations limit."""
    memory_kb: Annotated[int, msgspec.Meta(ge=1024, le=1_048_576)] = 16 * 1024
    """argon2id's memory, KiB: a box gives a backup 64 MB in all."""


def new_lock() -> Lock:
    """Return a lock nobody used before."""
    return Lock(salt=secrets.token_hex(16))


class Seal(Protocol):
    """One way to name and close bytes."""

    lock: Lock | None

    @property
    def overhead(self) -> int:
        """Return how many bytes closing adds."""

    def name(self, data: bytes) -> str:
        """Return 64 hexadecimal digits that only these bytes have."""

    def close(self, data: bytes, about: bytes) -> bytes:
        """Return what is written; `about` must be the same to open it."""

    def open(self, data: bytes, about: bytes) -> bytes:
        """Return what was closed. Raises NotOpened."""


class Plain:
    """Closes nothing."""

    lock: Lock | None = None
    overhead = 0

    def name(self, data: bytes) -> str:
        """See `Seal.name`: the SHA-256."""
        return hashlib.sha256(data).hexdigest()

    def close(self, data: bytes, about: bytes) -> bytes:  # noqa: ARG002
        """See `Seal.close`."""
        return data

    def open(self, data: bytes, about: bytes) -> bytes:  # noqa: ARG002
        """See `Seal.open`."""
        return data


class Sealed:
    """Closes with a key."""

    def __init__(self, lock: Lock, secret: bytes) -> None:
        """Make the keys; takes about a second on a small board.

        Raises:
            Fatal: PyNaCl is not installed.
        """
        try:
            from nacl.pwhash import argon2id  # noqa: PLC0415
            from nacl.secret import Aead  # noqa: PLC0415
        except ImportError as error:
            raise missing(error) from error
        made = argon2id.kdf(
            64,
            secret,
            bytes.fromhex(lock.salt),
            opslimit=lock.passes,
            memlimit=lock.memory_kb * 1024,
        )
        self.lock: Lock | None = lock
        self._box = Aead(made[:32])
        self._naming = made[32:]

    @property
    def overhead(self) -> int:
        """See `Seal.overhead`: nonce and tag."""
        return int(self._box.NONCE_SIZE + self._box.MACBYTES)

    def name(self, data: bytes) -> str:
        """See `Seal.name`: keyed BLAKE2b."""
        return hashlib.blake2b(data, key=self._naming, digest_size=32).hexdigest()

    def close(self, data: bytes, about: bytes) -> bytes:
        """See `Seal.close`; the nonce is random, 24 bytes, and stands in front."""
        return bytes(self._box.encrypt(data, about))

    def open(self, data: bytes, about: bytes) -> bytes:
        """See `Seal.open`."""
        from nacl.exceptions import CryptoError  # noqa: PLC0415

        try:
            return bytes(self._box.decrypt(data, about))
        except (CryptoError, ValueError, TypeError) as error:
            raise NotOpened from error


def read_key(path: Path) -> bytes:
    """Return the secret in a key file, whatever kind of text or bytes; its end of line is none.

    Raises:
        Rejected: it cannot be read, or is too short or too long to be a key.
    """
    operation = "read key file"
    try:
        with path.open("rb") as file:
            secret = file.read(LONGEST + 1).rstrip(b"\r\n")
    except OSError as error:
        raise Rejected(
            operation, f"{path}: {error.strerror}", "name a file that is there"
        ) from error
    if not SHORTEST <= len(secret) <= LONGEST:
        raise Rejected(
            operation,
            f"{path} holds {len(secret)} bytes; a key has {SHORTEST} to {LONGEST}",
            "make one with `head -c 32 /dev/urandom | base64 > KEYFILE`, and keep a copy elsewhere",
        )
    return secret


def seal_for(lock: Lock | None, key_file: Path | None, where: str) -> Seal:
    """Return the seal for what was closed with a lock.

    Raises:
        Rejected: a key is missing, or there is none to use it on.
    """
    if lock is None and key_file is None:
        return Plain()
    if lock is None:
        raise Rejected(
            "open backups",
            f"{where} is not encrypted",
            "leave the key file out, or name another folder",
        )
    if key_file is None:
        raise Rejected("open backups", f"{where} is encrypted", "name its key with --key-file")
    return Sealed(lock, read_key(key_file))


def missing(error: ImportError) -> AndonError:
    """Return what to tell where PyNaCl cannot be loaded."""
    return Fatal("encrypt or sign", f"PyNaCl is missing: {error}", "install andon[backup]")
