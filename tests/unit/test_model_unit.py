"""The model's server as a unit: which of the configuration's servers is the box's own."""

from __future__ import annotations

import pytest

from services.model_unit import port_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://127.0.0.1:8080", 8080),
        ("http://localhost:9/", 9),
        ("http://[::1]:8080", 8080),
        ("", None),
        ("http://10.0.0.5:8080", None),
        ("https://127.0.0.1:8080", None),
        ("http://127.0.0.1", None),
    ],
)
def test_a_server_of_this_box_is_plain_http_on_a_port_of_the_loopback(
    url: str, port: int | None
) -> None:
    assert port_of(url) == port
