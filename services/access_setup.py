"""`andon access init` and `renew`: passwords of Andon's own users, and certificates."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from services import access_list
from services.access_list import Access, Password, Plant
from services.certificates import Certificates, hosts_of_this_machine
from services.rights import OWN
from services.runtime.errors import Fatal, Rejected
from services.terminal import print_json, tell

OK = 0
RESTART = "systemctl restart andon-broker"


def init(options: argparse.Namespace) -> int:
    """Make what is missing: `andon access init`."""
    etc: Path = options.etc
    made = list[str]()
    for folder, mode in ((etc, 0o755), (etc / "credentials", 0o700), (etc / "broker", 0o755)):
        _folder(folder, mode)
    _folder(etc / "broker" / "tls", 0o755)
    _folder(etc / "broker" / "conf.d", 0o755)
    with access_list.alone(etc):
        there = (etc / access_list.FILE).exists()
        access = access_list.load(etc) if there else Access()
        own = dict(access.own)
        for name in OWN:
            if _credential(etc, name, own):
                made.append(name)
        plant = _plant(options, access.plant)
        access = msgspec.structs.replace(access, own=own, plant=plant)
        if plant.tls_port:
            made += _certificates(options, plant)
        access_list.save(etc, access, options.group)
    if options.json:
        print_json({"made": made, "plant": plant})
    else:
        tell(f"made: {', '.join(made) or 'nothing, all was there'}")
        tell(f"takes effect when the broker starts: {RESTART}")
    return OK


def _folder(path: Path, mode: int) -> None:
    try:
        if not path.is_dir():
            path.mkdir(mode=mode, parents=True)
    except OSError as error:
        raise Fatal("make passwords", f"{path}: {error.strerror}", "run it as root") from error


def _credential(etc: Path, name: str, own: dict[str, Password]) -> bool:
    """Make the password of one of Andon's users, unless there is one; return whether it did."""
    path = etc / "credentials" / name
    if path.exists() and name in own:
        return False
    made = not path.exists()
    if made:
        word = access_list.new_password()
        access_list.write_whole(path, f"{word}\n".encode(), mode=0o600)
    own[name] = Password.of(path.read_text(encoding="utf-8").strip())
    return made


def _plant(options: argparse.Namespace, known: Plant) -> Plant:
    given = {
        "hosts": tuple(options.host) if options.host else known.hosts or hosts_of_this_machine(),
        "tls_port": options.tls_port,
        "plain_port": options.plain_port,
        "certificates": options.client_certificates,
    }
    changed = {key: value for key, value in given.items() if value is not None}
    return msgspec.structs.replace(known, **changed)


def _certificates(options: argparse.Namespace, plant: Plant) -> list[str]:
    tls = certificates(options)
    made = list[str]()
    if not tls.ca.exists():
        tls.make_authority()
        made.append("ca.crt")
    if made or options.host or not (tls.folder / "server.crt").exists():
        tls.make_server(plant.hosts)
        made.append("server.crt")
    return made


def certificates(options: argparse.Namespace) -> Certificates:
    """Return the folder of certificates."""
    return Certificates(options.etc / "broker" / "tls", options.group)


def renew(options: argparse.Namespace) -> int:
    """Make certificates anew: `andon access renew`."""
    with access_list.alone(options.etc):
        access = access_list.load(options.etc)
        if options.client:
            return _renew_clients(options, access)
        hosts = tuple(options.host) if options.host else access.plant.hosts
        tls = certificates(options)
        if options.authority:
            tls.make_authority()
        tls.make_server(hosts)
        plant = msgspec.structs.replace(access.plant, hosts=hosts)
        access_list.save(options.etc, msgspec.structs.replace(access, plant=plant), options.group)
    made = ["ca.crt", "server.crt"] if options.authority else ["server.crt"]
    if options.json:
        print_json({"made": made, "plant": plant})
    else:
        tell(f"made: {', '.join(made)}")
        tell(f"The broker takes it when it starts, sessions stay: {RESTART}")
        if options.authority:
            tell(f"Every client needs {tls.ca} anew; client certificates are to be made anew.")
    return OK


def _renew_clients(options: argparse.Namespace, access: Access) -> int:
    """Make clients' certificates anew; all else of theirs stays."""
    if options.authority or options.host:
        raise Rejected(
            "renew", "--client is for itself", "renew the broker's with a call of its own"
        )
    for name in options.client:
        client = access.client(name)
        if client is None or not client.certificate:
            reason = "it has no certificate" if client else "nobody of that name has access"
            raise Rejected(f"renew {name}", reason, "`andon access list` shows who has")
    made = [str(certificates(options).make_client(name)) for name in options.client]
    if options.json:
        print_json({"made": made, "plant": access.plant})
    else:
        for path in made:
            tell(f"made: {path}, its key beside it; the client needs both")
    return OK
