"""`andon access init | add | list | revoke | renew`: who may speak to the broker of a box."""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import msgspec

from services import access_list, access_setup, access_text, plugin
from services.access_list import Client, Password
from services.access_setup import RESTART
from services.broker_box import Places
from services.certificates import DAYS
from services.rights import KEEPER
from services.roles import MEANING, ROLES, name_trouble
from services.runtime import config as configuration
from services.runtime.address import BrokerAddress
from services.runtime.clock import now
from services.runtime.config import Broker, Config
from services.runtime.errors import Rejected, Unavailable
from services.terminal import print_json, say, tell

OK = 0
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]*")
_GROUP = "andon-broker"


def declare(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    commands = commands.add_parser(
        "access", help="Say who may speak to the box's broker, and as what."
    ).add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, help_: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(
            name, parents=[common], help=help_, description=help_
        )
        sub.set_defaults(run=run)
        usual = Places()
        sub.add_argument(
            "--etc", type=Path, default=usual.etc, metavar="DIR", help=f"({usual.etc})"
        )
        sub.add_argument(
            "--group", default=_GROUP, help=f"group of the broker's process ({_GROUP})"
        )
        return sub

    init = command(
        "init",
        access_setup.init,
        "Make the passwords and certificates of the box; those there are stay.",
    )
    _hosts(init)
    init.add_argument(
        "--tls-port", type=_port, metavar="PORT", help="for the plant (8883); 0: none"
    )
    init.add_argument(
        "--plain-port",
        type=_port,
        metavar="PORT",
        help="for the plant without TLS, 1883 usually; passwords can be read on it (0: none)",
    )
    init.add_argument(
        "--client-certificates",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether clients need a certificate beside their password",
    )
    add = command("add", _add, "Give a machine, a program or a person access.")
    add.add_argument("name", help="its user name, which is its client id and <client> as well")
    add.add_argument(
        "--role",
        action="append",
        required=True,
        choices=ROLES,
        help="; ".join(f"{role}: {what}" for role, what in MEANING.items()) + "; again for more",
    )
    add.add_argument(
        "--asset",
        action="append",
        default=[],
        metavar="MACHINE",
        help="only this machine, or those of plant/line1/#; again for more",
    )
    add.add_argument("--certificate", action="store_true", help="make a certificate for it as well")
    command("list", _list, "List who has access.")
    revoke = command("revoke", _revoke, "Take access away, at once.")
    revoke.add_argument("name", nargs="+", help="as `andon access list` shows it")
    renew = command(
        "renew", access_setup.renew, f"Make the broker's certificate anew, {DAYS} days."
    )
    _hosts(renew)
    renew.add_argument(
        "--authority", action="store_true", help="and ca.crt, which every client then needs anew"
    )
    renew.add_argument(
        "--client",
        action="append",
        metavar="NAME",
        help="not the broker's, but this client's; its password stays; again for more",
    )


def _hosts(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--host",
        action="append",
        type=_host,
        help="name or address the plant reaches the box by, the usual one first; again for more"
        " (default: those the machine has)",
    )


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"a name or an address, not {text!r}")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a number from 0 to 65535, not {text!r}")
    return int(text)


def _add(options: argparse.Namespace) -> int:
    config = _config(options)
    name: str = options.name
    operation = f"give {name} access"
    if why := name_trouble(name, config.prefix):
        raise Rejected(operation, f"it cannot have this name: {why}")
    with access_list.alone(options.etc):
        access = access_list.load(options.etc)
        if access.client(name):
            raise Rejected(
                operation, "it has access already", f"`andon access revoke {name}` first"
            )
        word = access_list.new_password()
        client = Client(
            name=name,
            roles=tuple(dict.fromkeys(options.role)),
            assets=tuple(dict.fromkeys(_asset(one) for one in options.asset)),
            password=Password.of(word),
            created=now(),
            certificate=options.certificate or access.plant.certificates,
        )
        if plugin.idle(client, config):
            hint = "where the message names the machine, leave --asset out; else see the triggers"
            raise Rejected(operation, plugin.NO_TOPIC, hint)
        rights = plugin.rights_for(client, config)
        tls = access_setup.certificates(options)
        files = {"authority": str(tls.ca)} if access.plant.tls_port else {}
        if client.certificate:
            path = tls.make_client(name)
            files |= {"cert": str(path), "key": str(path.with_suffix(".key"))}
        access_list.save(options.etc, access.with_client(client), options.group)
        try:
            # Away with it first: a broker that starts meanwhile has read of it already.
            _tell([*plugin.removing(name), *plugin.adding(client, word, config)], config, options)
        except Rejected:
            access_list.save(options.etc, access, options.group)
            raise
    told = access_text.connection(client, rights, access.plant, word, str(tls.ca))
    if options.json:
        print_json({**told, "files": files})
    else:
        for line in access_text.lines(told, files):
            tell(line)
    return OK


def _asset(text: str) -> str:
    levels = text.split("/")
    inside = "#" in "".join(levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#")
    if not text or inside or any("+" in level and level != "+" for level in levels):
        raise Rejected("limit to a machine", f"{text!r} is none", "such as plant/line1/#")
    return text


def _list(options: argparse.Namespace) -> int:
    access = access_list.load(options.etc)
    if options.json:
        clients = [
            {key: value for key, value in msgspec.to_builtins(one).items() if key != "password"}
            for one in access.clients
        ]
        print_json({"plant": access.plant, "clients": clients})
        return OK
    for one in access.clients:
        assets = ", ".join(one.assets) or "all machines"
        tell(f"{one.name:<24} {', '.join(one.roles):<18} {assets:<32} {one.created[:10]}")
    if not access.clients:
        tell(
            "Nobody but Andon itself. `andon access add NAME --role plc` gives a controller access."
        )
    return OK


def _revoke(options: argparse.Namespace) -> int:
    config = _config(options)
    names: list[str] = list(dict.fromkeys(options.name))
    with access_list.alone(options.etc):
        access = access_list.load(options.etc)
        for name in names:
            if not access.client(name):
                reason = "nobody of that name has access"
                raise Rejected(f"revoke {name}", reason, "`andon access list` shows who has")
            access = access.without(name)
        access_list.save(options.etc, access, options.group)
        told = _tell([one for name in names for one in plugin.removing(name)], config, options)
        for name in names:
            access_setup.certificates(options).forget_client(name)
    if not told and _listens(config.broker):
        reason = "the broker runs and does not take Andon's own word for it"
        hint = f"who is connected stays so until you call {RESTART}"
        raise Unavailable(f"revoke {', '.join(names)}", reason, hint)
    if options.json:
        print_json({"revoked": names})
    else:
        tell(f"revoked: {', '.join(names)}")
    return OK


def _config(options: argparse.Namespace) -> Config:
    return configuration.load(configuration.find(options.config))


def _listens(broker: Broker) -> bool:
    """Return whether anybody answers at the broker's address."""
    address = BrokerAddress.from_url(broker.url)
    unix = address.scheme == "unix"
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as probe:
        return not probe.connect_ex(address.path if unix else (address.host, address.port))


def _tell(commands: list[dict[str, Any]], config: Config, options: argparse.Namespace) -> bool:
    """Have the running broker know; one that does not run reads it all when it starts.

    Returns:
        Whether it knows.
    """
    from services import keeper  # noqa: PLC0415  # it loads paho, which --help need not wait for

    file = options.etc / "credentials" / KEEPER
    broker = msgspec.structs.replace(
        config.broker, username=KEEPER, password="", password_file=str(file)
    )
    try:
        asyncio.run(keeper.tell(commands, broker, config.prefix, gone=True))
    except Unavailable as error:
        say(f"The broker cannot be told now ({error.reason}); it knows when it starts: {RESTART}")
        return False
    return True
