"""The box's mosquitto.conf, out of its template (pure)."""

from __future__ import annotations

from pathlib import Path

from services.access_list import Plant

TEMPLATE = Path(__file__).resolve().parents[1] / "deploy" / "broker" / "mosquitto.conf"
EASY = "autosave_interval 60"
CAREFUL = "autosave_on_changes true\nautosave_interval 1"
"""Write the file after each change, in the turn of the loop that sent the PUBACK."""
_TLS = """
# The plant, with TLS. The name of the user is the client id whatever a client says, so that nobody
# ends another one's connection or takes its session: one name, one connection.
listener {port}
use_username_as_clientid true
max_connections 256
cafile {tls}/ca.crt
certfile {tls}/server.crt
keyfile {tls}/server.key
tls_version tlsv1.2
require_certificate {certificates}
"""
_PLAIN = """
# The plant without TLS, as was chosen: who listens in the network reads passwords.
listener {port}
use_username_as_clientid true
max_connections 256
"""


def rendered(
    template: str, plant: Plant, *, etc: Path, state: Path, run: Path, plugin: Path
) -> str:
    """Return the configuration, careful; see `at_ease`.

    Args:
        template: the text of `TEMPLATE`.
        plant: the listeners of the plant.
        etc: folder of what was configured: /etc/andon.
        state: folder of what the broker keeps.
        run: folder of its socket.
        plugin: the security plugin.
    """
    listeners = ""
    if plant.tls_port:
        wanted = str(plant.certificates).lower()
        listeners += _TLS.format(
            port=plant.tls_port, tls=etc / "broker" / "tls", certificates=wanted
        )
    if plant.plain_port:
        listeners += _PLAIN.format(port=plant.plain_port)
    values = {
        "ETC": etc,
        "STATE": state,
        "RUN": run,
        "PLUGIN": plugin,
        "PLANT": listeners,
        "AUTOSAVE": CAREFUL,
    }
    for name, value in values.items():
        template = template.replace(f"@{name}@", str(value))
    return template


def at_ease(conf: str) -> str:
    """Return it for the time when the orchestrator takes what comes."""
    return conf.replace(CAREFUL, EASY)


def careful(conf: str) -> str:
    """Return it for the time when faults lie with the broker alone."""
    return conf.replace(CAREFUL, EASY).replace(EASY, CAREFUL)
