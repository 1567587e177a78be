"""`{service}` and $CREDENTIALS_DIRECTORY in the broker's settings; who tells that it is connected."""  # noqa: E501

from __future__ import annotations

from pathlib import Path

import pytest

from services.runtime import config as configuration
from services.runtime.config import Broker
from services.runtime.connect import as_service
from services.runtime.errors import Fatal
from services.runtime.notify import tell_connected

pytestmark = pytest.mark.unit

UNIT = Broker(username="{service}", password_file="$CREDENTIALS_DIRECTORY/broker")  # noqa: S106


def test_each_process_is_its_own_user() -> None:
    broker = as_service(Broker(username="{service}", password_file="/p/{service}"), "ingest")  # noqa: S106
    assert (broker.username, broker.password_file) == ("ingest", "/p/ingest")
    plain = Broker(username="andon", password_file="/p")  # noqa: S106
    assert as_service(plain, "ingest") == plain


def test_systemd_says_where_the_password_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/andon-ingest.service")
    found = as_service(UNIT, "ingest").password_file
    assert found == "/run/credentials/andon-ingest.service/broker"


def test_without_systemd_it_is_where_the_box_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert as_service(UNIT, "cli").password_file == "/etc/andon/credentials/cli"  # noqa: S105


@pytest.mark.parametrize("key", ["username", "password_file"])
def test_another_word_in_braces_is_refused(key: str) -> None:
    text = f'broker: {{username: a, {key}: "x{{name}}"}}'.replace(
        "username: a, username", "username"
    )
    with pytest.raises(
        Fatal, match=r"broker\.\w+: found .*\{name\}.*allowed in braces: \{service\}"
    ):
        configuration.parse(text, "config.yaml")


def test_a_password_that_may_not_be_read_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(Fatal, match=r"Permission denied .*call andon as root"):
        Broker(username="cli", password_file=str(tmp_path / "cli")).secret()


def test_a_connection_leaves_a_file_and_its_end_takes_it_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}:/elsewhere")
    for _ in range(2):
        tell_connected(True)
        assert (tmp_path / "connected").is_file()
    for _ in range(2):
        tell_connected(False)
        assert list(tmp_path.iterdir()) == []


def test_where_nobody_made_a_folder_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    tell_connected(True)
    assert list(tmp_path.iterdir()) == []
