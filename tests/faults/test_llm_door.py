"""A model's server that is there and cannot be entered: certificates, TLS or none, its key.

Each by name with the setting to change, in the bridge's status and log and in `andon doctor`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services import findings
from services.retriever.model_server import ModelServer
from services.runtime.config import Bridge
from services.runtime.errors import AndonError
from tests.support.bridge import bridge
from tests.support.certificates import Authority
from tests.support.http_server import http_server, tcp_server
from tests.support.llama import LlamaProcess, llama_process
from tests.support.mosquitto import Tls
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.faults

PROPS = {"default_generation_settings": {"n_ctx": 512}, "model_alias": "tiny", "total_slots": 1}


async def model(asked: web.Request) -> web.StreamResponse:
    return web.json_response(PROPS if asked.path == "/props" else {"status": "ok"})


def serving(signed: Tls) -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(signed.cert, signed.key)
    return tls


@asynccontextmanager
async def told(settings: Bridge) -> AsyncIterator[tuple[str, str]]:
    """Give what status and doctor say of a model that cannot be asked."""
    async with bridge(settings) as served:
        await served.until(reachable=False)
        found = findings.model(served.health.facts, url=settings.url)
        assert found.level == "problem"
        yield served.health.reason, f"{found.said} ({found.hint})"


async def is_told(caplog: pytest.LogCaptureFixture, settings: Bridge, *words: str) -> None:
    caplog.set_level(logging.WARNING)
    async with told(settings) as (status, doctor):
        for word in words:
            assert word in status
            assert word in doctor
            assert word in caplog.text


Signed = Callable[[Path], Tls]
CERTIFICATES: dict[str, tuple[Signed, bool, tuple[str, ...]]] = {
    "unknown": (
        lambda folder: Authority(folder).sign("model"),
        False,
        ("not one that this box knows", "name its PEM file in llm_bridge.ca"),
    ),
    "of another authority": (
        lambda folder: Tls(
            ca=Authority(folder, "other").pem,
            cert=(mine := Authority(folder / "mine").sign("model")).cert,
            key=mine.key,
        ),
        True,
        ("not that of llm_bridge.ca", "other.pem"),
    ),
    "for another host": (
        lambda folder: Authority(folder).sign("model", address="10.1.2.3"),
        True,
        ("for another name", "not valid for '127.0.0.1'", "in llm_bridge.url"),
    ),
    "expired": (
        lambda folder: Authority(folder).sign("model", hours=(-9, -1)),
        True,
        ("its certificate has expired", "renew it at the server"),
    ),
    "not valid yet": (
        lambda folder: Authority(folder).sign("model", hours=(1, 9)),
        True,
        ("not valid yet", "clock"),
    ),
}


@pytest.mark.parametrize("kind", CERTIFICATES)
async def test_a_certificate_that_is_not_accepted(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sign, known, words = CERTIFICATES[kind]
    signed = sign(tmp_path)
    async with http_server(model, serving(signed)) as url:
        await is_told(caplog, Bridge(url=url, ca=str(signed.ca) if known else ""), *words)


async def test_a_server_that_is_trusted_is_asked(tmp_path: Path) -> None:
    signed = Authority(tmp_path).sign("model")
    async with (
        http_server(model, serving(signed)) as url,
        bridge(Bridge(url=url, ca=str(signed.ca))) as served,
    ):
        await served.until(model="tiny", reachable=True)
        assert not {"unreachable", "mend"} & set(served.health.facts)


async def test_http_where_the_server_speaks_tls(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with http_server(model, serving(Authority(tmp_path).sign("model"))) as url:
        plain = Bridge(url=url.replace("https", "http"))
        await is_told(caplog, plain, "it speaks TLS", "write https:// in llm_bridge.url")


@pytest.mark.parametrize(
    "words",
    [
        "The plain HTTP request was sent to HTTPS port",
        "Client sent an HTTP request to an HTTPS server.\n",
    ],
)
async def test_http_where_a_proxy_says_that_it_speaks_tls(
    words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuses(_: web.Request) -> web.StreamResponse:
        return web.Response(status=400, text=f"<h1>{words}</h1>")

    async with http_server(refuses) as url:
        await is_told(caplog, Bridge(url=url), "it speaks TLS", "https:// in llm_bridge.url")


async def test_https_where_the_server_speaks_http(caplog: pytest.LogCaptureFixture) -> None:
    async with http_server(model) as url:
        settings = Bridge(url=url.replace("http", "https"))
        await is_told(caplog, settings, "HTTP without TLS", "write http:// in llm_bridge.url")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with llama_process(
        write_tiny_gguf(tmp_path_factory.mktemp("llama") / "tiny.gguf"), api_key="right"
    ) as server:
        yield server


async def test_https_where_llama_server_waits_for_a_line(
    llama: LlamaProcess, caplog: pytest.LogCaptureFixture
) -> None:
    """It never answers a greeting: that is no server which is away."""
    settings = Bridge(url=llama.url.replace("http", "https"), connect_timeout_s=0.3)
    await is_told(caplog, settings, "HTTP without TLS", "write http:// in llm_bridge.url")


@pytest.mark.parametrize(
    ("key", "words"),
    [("", "it wants an API key, none is configured"), ("wrong", "it does not accept the API key")],
)
async def test_the_key_that_llama_server_wants(
    key: str, words: str, llama: LlamaProcess, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Bridge(url=llama.url, api_key=key)
    await is_told(caplog, settings, words, "error 401", "set llm_bridge.api_key")


async def test_a_key_that_may_not_do_this_is_told_alike(caplog: pytest.LogCaptureFixture) -> None:
    async def forbids(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": "not yours"}}, status=403)

    async with http_server(forbids) as url:
        words = ("it does not accept the API key", "error 403: not yours")
        await is_told(caplog, Bridge(url=url, api_key="k"), *words, "set llm_bridge.api_key")


async def test_a_server_that_ended_is_not_taken_for_one_that_speaks_tls() -> None:
    async def ends(*_: object) -> None:
        pass

    async with tcp_server(ends) as url, told(Bridge(url=url)) as (status, doctor):
        assert "the answer broke off" in status or "does not answer" in status
        assert "TLS" not in status + doctor


@pytest.mark.parametrize(
    ("key", "ca_key"),
    [("retriever.rerank_url", "retriever.rerank_ca"), ("retriever.embedding.url", "")],
)
async def test_the_servers_of_the_retriever_are_told_alike(
    key: str, ca_key: str, tmp_path: Path
) -> None:
    async def forbids(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    async def fails(url: str) -> AndonError:
        server = ModelServer(url, key)
        with pytest.raises(AndonError) as caught:
            await asyncio.to_thread(
                server.post, "rank", "/", {}, patience_s=5, hint="is it a reranker?"
            )
        return caught.value

    async with http_server(forbids, serving(Authority(tmp_path).sign("model"))) as url:
        error = await fails(url)
        assert "not one that this box knows" in error.reason
        assert (ca_key or "authorities") in error.hint
    async with http_server(forbids) as url:
        error = await fails(url)
        assert "wants an API key" in error.reason
        assert error.hint
        error = await fails(url.replace("http", "https"))
        assert (error.reason, key in error.hint) == ("it speaks HTTP without TLS", True)
