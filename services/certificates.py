"""Certificates for the broker's TLS, by the openssl command: an authority of the box's own."""

from __future__ import annotations

import ipaddress
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from services.access_list import write_whole
from services.runtime.errors import Fatal

DAYS = 3650
_KEY = "rsa:2048"
"""Not an elliptic curve: not every controller knows those."""
_EARLIEST = 1_767_225_600
"""2026-01-01: a clock before that is wrong, and so would be when a certificate ends."""
_MAKE = "make a certificate"
_CONF = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = {name}
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {hosts}
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class Certificates:
    """Files in a folder: ca.crt, server.crt, clients/NAME.crt, and the keys, .key, beside them."""

    def __init__(self, folder: Path, group: str) -> None:
        """`group` is that of the broker, which reads the server's key."""
        self.folder = folder
        self._group = group

    @property
    def ca(self) -> Path:
        """The file that clients need to know the broker by."""
        return self.folder / "ca.crt"

    def make_authority(self) -> None:
        """Make the authority, anew if there is one: every client then needs its certificate.

        Raises:
            Fatal: openssl is missing or fails, or the clock is wrong.
        """
        name = f"Andon {socket.gethostname()}"[:64]
        with tempfile.TemporaryDirectory() as work:
            conf = _conf(Path(work), name)
            made = ("-keyout", "ca.key", "-out", "ca.crt")
            days = ("-days", str(DAYS), "-extensions", "ca")
            _openssl(work, "req", "-x509", "-newkey", _KEY, "-nodes", "-config", conf, *made, *days)
            self._keep(Path(work), "ca.key", 0o600)
            self._keep(Path(work), "ca.crt", 0o644)

    def make_server(self, hosts: tuple[str, ...]) -> None:
        """Make the broker's own; raises as `make_authority` does.

        Args:
            hosts: names and addresses of the box, by which clients reach it.
        """
        self._make(self.folder, "server", hosts[0], hosts, key_mode=0o640, group=self._group)

    def make_client(self, name: str) -> Path:
        """Make that of a client, and return it; its key lies beside it; raises as the others."""
        folder = self.folder / "clients"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._make(folder, "client", name, (), key_mode=0o600, file=name)
        return folder / f"{name}.crt"

    def forget_client(self, name: str) -> None:
        """Delete a client's."""
        for end in ("crt", "key"):
            (self.folder / "clients" / f"{name}.{end}").unlink(missing_ok=True)

    def _make(
        self,
        folder: Path,
        kind: str,
        name: str,
        hosts: tuple[str, ...],
        *,
        key_mode: int,
        group: str = "",
        file: str = "",
    ) -> None:
        file = file or kind
        with tempfile.TemporaryDirectory() as work:
            conf = _conf(Path(work), name[:64], hosts)
            made = ("-keyout", f"{file}.key", "-out", "request")
            _openssl(work, "req", "-new", "-newkey", _KEY, "-nodes", "-config", conf, *made)
            signer = ("-CA", str(self.ca), "-CAkey", str(self.folder / "ca.key"))
            number = ("-set_serial", f"0x{secrets.token_hex(15)}", "-days", str(DAYS))
            extensions = ("-extfile", conf, "-extensions", kind, "-out", f"{file}.crt")
            _openssl(work, "x509", "-req", "-in", "request", *signer, *number, *extensions)
            self._keep(Path(work), f"{file}.key", key_mode, folder, group)
            self._keep(Path(work), f"{file}.crt", 0o644, folder)

    def _keep(
        self, work: Path, name: str, mode: int, folder: Path | None = None, group: str = ""
    ) -> None:
        write_whole(
            (folder or self.folder) / name, (work / name).read_bytes(), mode=mode, group=group
        )


def ends(path: Path) -> float:
    """Return when a certificate ends, Unix time.

    Raises:
        Fatal: openssl is missing, or the file is no certificate.
    """
    said = _openssl(
        ".", "x509", "-in", str(path), "-noout", "-enddate", operation="read a certificate"
    )
    return ssl.cert_time_to_seconds(said.strip().removeprefix("notAfter="))


def hosts_of_this_machine() -> tuple[str, ...]:
    """Return the names and addresses a client may reach this machine by, the usual one first."""
    name = socket.gethostname()
    told = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False)
    addresses = [one for one in told.stdout.split() if not ipaddress.ip_address(one).is_link_local]
    return tuple(dict.fromkeys((name, f"{name}.local", *addresses, "localhost", "127.0.0.1")))


def _conf(work: Path, name: str, hosts: tuple[str, ...] = ()) -> str:
    if time.time() < _EARLIEST:
        raise Fatal(_MAKE, "the clock is wrong", "set it first: timedatectl set-time …")
    path = work / "openssl.cnf"
    text = _CONF.format(name=name, hosts=", ".join(map(_alternative, hosts or (name,))))
    path.write_text(text, encoding="utf-8")
    return str(path)


def _alternative(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"DNS:{host}"
    return f"IP:{host}"


def _openssl(work: str, *arguments: str, operation: str = _MAKE) -> str:
    if not shutil.which("openssl"):
        raise Fatal(operation, "openssl is not installed", "apt-get install openssl")
    done = subprocess.run(
        ["openssl", *arguments],
        cwd=work,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
        umask=0o077,
    )
    if done.returncode:
        raise Fatal(operation, f"openssl {arguments[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout
