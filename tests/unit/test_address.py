from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.address import BrokerAddress
from services.runtime.errors import Fatal

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "path"),
    [
        ("mqtt://broker:1884", "mqtt", "broker", 1884, ""),
        ("mqtt://broker", "mqtt", "broker", 1883, ""),
        ("mqtt://10.0.0.7/", "mqtt", "10.0.0.7", 1883, ""),
        ("MQTT://Broker", "mqtt", "broker", 1883, ""),
        ("mqtt://[::1]:1883", "mqtt", "::1", 1883, ""),
        ("mqtts://broker", "mqtts", "broker", 8883, ""),
        ("unix:///run/mosquitto/mqtt.sock", "unix", "", 0, "/run/mosquitto/mqtt.sock"),
    ],
)
def test_urls(url: str, scheme: str, host: str, port: int, path: str) -> None:
    address = BrokerAddress.from_url(url)
    assert (address.scheme, address.host, address.port, address.path) == (scheme, host, port, path)
    assert BrokerAddress.from_url(str(address)) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker",
        "broker:1883",
        "tcp://broker",
        "mqtt://",
        "mqtt:///path",
        "mqtt://broker/path",
        "mqtt://broker:0",
        "mqtt://broker:65536",
        "mqtt://broker:x",
        "mqtt://broker?a=b",
        "mqtt://[::1",
        "unix://run/mqtt.sock",
        "unix:mqtt.sock",
        "unix:///",
        "unix:///run/",
    ],
)
def test_wrong_urls_say_what_is_right(url: str) -> None:
    with pytest.raises(Fatal) as caught:
        BrokerAddress.from_url(url)
    assert repr(url) in caught.value.reason
    assert "unix:///run/mosquitto/mqtt.sock" in caught.value.hint


def test_a_password_does_not_belong_in_the_url() -> None:
    with pytest.raises(Fatal) as caught:
        BrokerAddress.from_url("mqtt://andon:geheim@broker")
    assert "geheim" not in str(caught.value)
    address = BrokerAddress.from_url("mqtt://broker", username="andon", password="geheim")  # noqa: S106
    assert (address.username, address.password) == ("andon", "geheim")
    assert "geheim" not in f"{address} {address!r}"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("mqtt://broker", {"ca": "ca.pem"}),
        ("unix:///x", {"cert": "a.pem", "key": "a.key"}),
        ("mqtts://broker", {"cert": "a.pem"}),
        ("mqtts://broker", {"key": "a.key"}),
        ("mqtt://broker", {"password": "x"}),
    ],
)
def test_settings_that_do_not_fit(url: str, options: dict[str, str]) -> None:
    with pytest.raises(Fatal):
        BrokerAddress.from_url(url, **options)


def test_empty_settings_count_as_not_given() -> None:
    empty = BrokerAddress.from_url("mqtt://b", username="", password="", ca="", cert="", key="")
    assert empty == BrokerAddress.from_url("mqtt://b")
    assert empty.tls_context() is None


@given(st.text())
def test_any_text_is_an_address_or_a_fatal_error(url: str) -> None:
    with contextlib.suppress(Fatal):
        address = BrokerAddress.from_url(url)
        assert address.path if address.scheme == "unix" else address.host
        assert BrokerAddress.from_url(str(address)) == address
