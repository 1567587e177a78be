"""The key of this box, and whose word is taken."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.runtime import foreign
from services.runtime.errors import Fatal, Rejected

if TYPE_CHECKING:
    from nacl.signing import SigningKey

_KEY = re.compile(r"[0-9a-f]{64}\Z")
_FILE = Path("keys") / "box.key"
_DOMAIN = b"andon collection 1\n"
"""Signed along: the same key may sign other things one day."""


class Box:
    """This box, as others know it."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @property
    def public(self) -> str:
        """Return the key others trust, 64 hexadecimal digits."""
        return bytes(self._key.verify_key).hex()

    def sign(self, data: bytes) -> str:
        """Return a signature, hexadecimal."""
        return bytes(self._key.sign(_DOMAIN + data).signature).hex()

    @classmethod
    def of(cls, data: Path) -> Box:
        """Return the box of a data folder; its key is made at first use.

        Raises:
            Fatal: the key cannot be read or written, is none, or PyNaCl is missing.
        """
        signing = _nacl()
        path = data / _FILE
        try:
            if not path.exists():
                _leave(data, bytes(signing.SigningKey.generate()).hex())
            text = path.read_text(encoding="ascii", errors="replace").strip()
        except OSError as error:
            raise Fatal(
                "sign", f"{error.filename or path}: {error.strerror}", "run it as root, or as andon"
            ) from error
        if not _KEY.match(text):
            raise Fatal("sign", f"{path} is no key", "delete it: a new one is made, and named anew")
        return cls(signing.SigningKey(bytes.fromhex(text)))


def known(data: Path) -> str:
    """Return the public key of a data folder's box, empty where it has none yet."""
    try:
        there = (data / _FILE).exists()
    except PermissionError:
        return ""  # who may not read it trusts others by name only
    return Box.of(data).public if there else ""


def key_of(text: str) -> str:
    """Return a public key as it is compared.

    Raises:
        Rejected: it is none.
    """
    key = re.sub(r"[\s:-]", "", text).lower()
    if not _KEY.match(key):
        raise Rejected(
            "trust", f"{text!r} is no key", "64 hexadecimal digits, as export tells them"
        )
    return key


def check(data: bytes, key: str, signature: str, trusted: Collection[str]) -> None:
    """Refuse what is not signed by somebody who is trusted.

    Raises:
        Rejected: the signature is wrong, or nobody trusts the key.
        Fatal: PyNaCl is missing.
    """
    from nacl.exceptions import BadSignatureError  # noqa: PLC0415

    signing = _nacl()
    try:
        verify = signing.VerifyKey(bytes.fromhex(key_of(key)))
        verify.verify(_DOMAIN + data, bytes.fromhex(signature))
    except (BadSignatureError, ValueError, TypeError) as error:
        raise Rejected(
            "import", "the signature is wrong: the file was changed", "have it sent once more"
        ) from error
    if key not in trusted:
        raise Rejected(
            "import",
            f"it is signed with the key {key}, which is not trusted here",
            "compare it with the sender's (`andon export` tells it), then --trust KEY, or add it to"
            " sharing.trusted_keys",
        )


def _leave(data: Path, text: str) -> None:
    """Write a key that only the owner of the data folder may read."""
    foreign.put_below(data, _FILE, f"{text}\n".encode(), mode=0o600)


def _nacl() -> Any:
    try:
        from nacl import signing  # noqa: PLC0415
    except ImportError as error:
        raise Fatal("sign", f"PyNaCl is missing: {error}", "install andon[backup]") from error
    return signing
