"""Passages in the order of a reranker: llama.cpp's server with a tiny model, and its troubles."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web

from schemas.retrieval import DocumentRef, Field, Found, Passage
from services.retriever import rerank
from services.retriever.model_server import Call, ModelServer
from services.retriever.records import text_to_embed
from services.retriever.rerank import Reranker
from services.runtime.config import Retriever
from services.runtime.errors import AndonError, Fatal, Retryable
from tests.support.certificates import Authority
from tests.support.http_server import http_server, tcp_server
from tests.support.llama import llama_process
from tests.support.mosquitto import free_port
from tests.support.retriever import Asker, retriever
from tests.support.tiny_gguf import write_tiny_gguf

pytestmark = pytest.mark.integration

DOCUMENT = DocumentRef(doc_id="ax5", revision=1, title="AX5 manual", file="ax5.pdf")
QUESTION = "How do I clean the fan filter of the drive?"
TEXTS = [
    "Clean the fan filter of the drive every month with dry air.",
    "The fan filter of the drive: order number, weight, size and colour.",
    "A dirty fan filter makes the drive hot; how hot, the display shows.",
    "Before you clean anything, switch the drive off and wait five minutes.",
    "Fan and filter may be bought with the drive or later as a spare part.",
    "Drives without a fan need no filter and are cooled by their plate.",
]
CODE = "E005"
MANY = 10
"""More than there are."""
ROW = Passage(
    ordinal=6,
    kind="row",
    text=f"Code: {CODE} | Name: Fan filter dirty | Remedy: clean the fan filter",
    fields=[
        Field("Code", CODE),
        Field("Name", "Fan filter dirty"),
        Field("Remedy", "clean the fan filter"),
    ],
)
PASSAGES = [*(Passage(ordinal=n, page=n + 1, text=text) for n, text in enumerate(TEXTS)), ROW]


def told(passage: Passage) -> str:
    return text_to_embed(DOCUMENT.title, passage)


def order(found: Found) -> list[int]:
    return [hit.passage.ordinal for hit in found.hits]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions wait for their vectors: the order is the same each time, however busy we are."""
    monkeypatch.setattr("services.retriever.meaning.EMBED_S", 60.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[str]:
    with llama_process(model, rerank=True, api_key="secret") as process:
        yield process.url


def reranked(folder: Path, url: str, **more: Any) -> AbstractAsyncContextManager[Asker]:
    """Run the service with a reranker, which has time."""
    return retriever(folder, **{"rerank_url": url, "rerank_within_s": 60.0, **more})


async def own_order(folder: Path, question: str = QUESTION, limit: int = 5) -> list[int]:
    """Add the passages; return how they stand without a reranker."""
    async with retriever(folder) as asker:
        await asker.add(DOCUMENT, PASSAGES)
        return order(await asker.search(question, limit=limit))


@pytest.mark.parametrize("form", ["", "/rerank", "/v1/rerank"])
async def test_passages_stand_in_the_order_of_the_model(
    tmp_path: Path, server: str, form: str
) -> None:
    own = await own_order(tmp_path, limit=MANY)
    async with reranked(tmp_path, server + form, rerank_api_key="secret") as asker:
        found = await asker.search(QUESTION, limit=MANY)
    scores = await asked_directly(server, own)
    wanted = sorted(own, key=lambda ordinal: -scores[ordinal])
    assert wanted != own, "the tiny model sees it another way"
    assert order(found) == wanted
    assert asker.health.reason == ""
    assert "rerank" in found.took_ms


async def asked_directly(url: str, ordinals: list[int]) -> dict[int, float]:
    """Return the server's own scores of these passages."""
    texts = [told(PASSAGES[n]) for n in ordinals]
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer secret"}) as client:
        body = {"query": QUESTION, "documents": texts}
        async with client.post(f"{url}/v1/rerank", json=body) as response:
            results = (await response.json())["results"]
    return {ordinals[one["index"]]: one["relevance_score"] for one in results}


async def test_a_server_without_a_reranker_is_told_and_changes_nothing(
    tmp_path: Path, model: Path
) -> None:
    own = await own_order(tmp_path)
    with llama_process(model) as process:
        async with reranked(tmp_path, process.url) as asker:
            assert order(await asker.search(QUESTION)) == own
            assert "rerank by" in asker.health.reason
            assert "--rerank" in asker.health.reason


async def test_a_wrong_key_is_told(tmp_path: Path, server: str) -> None:
    own = await own_order(tmp_path)
    async with reranked(tmp_path, server, rerank_api_key="wrong") as asker:
        assert order(await asker.search(QUESTION)) == own
        assert "status 401" in asker.health.reason


async def test_a_longer_passage_is_cut_to_what_a_server_takes(tmp_path: Path, server: str) -> None:
    long = [
        Passage(ordinal=n, text=f"{text} " + "so it is " * 2000) for n, text in enumerate(TEXTS)
    ]
    async with reranked(tmp_path, server, rerank_api_key="secret") as asker:
        await asker.add(DOCUMENT, long)
        assert (await asker.search(QUESTION)).hits
        assert asker.health.reason == ""


class Backwards:
    """A reranker to whom the last is the best; with moods for what a healthy one does not do."""

    def __init__(self, mood: str = "well") -> None:
        self.mood = mood
        self.asked: list[dict[str, object]] = []
        self.came = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        self.came.set()
        if self.mood == "hangs":
            await self.go_on.wait()
        if self.mood == "says another status":
            return web.Response(status=503, text="Loading model")
        if self.mood == "sends no JSON":
            return web.Response(text="<html>")
        results: list[dict[str, object]] = [
            {"index": n, "relevance_score": float(n)} for n in range(len(body["documents"]))
        ]
        if self.mood == "sends too few":
            results.pop()
        if self.mood == "has no number":
            results[0]["relevance_score"] = None
        if self.mood == "says one twice":
            results[0]["index"] = 1
        reply = msgspec.json.encode({"object": "list", "results": results[::-1]})
        if self.mood == "says NaN":
            reply = reply.replace(b"0.0", b"NaN")
        return web.Response(body=reply, content_type="application/json")


TROUBLES = {
    "hangs": "no reply within 0.2 s",
    "says another status": "status 503",
    "sends no JSON": "not a rerank reply",
    "sends too few": "results for",
    "has no number": "no number",
    "says one twice": "one twice",
    "says NaN": "not a rerank reply",
}


@pytest.mark.parametrize("mood", TROUBLES)
async def test_a_trouble_leaves_our_order_is_told_and_spares_the_next(
    tmp_path: Path, mood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await own_order(tmp_path)
    patience = 0.2 if mood == "hangs" else 60.0
    server = Backwards(mood)
    async with (
        http_server(server) as url,
        reranked(tmp_path, url, rerank_within_s=patience) as asker,
    ):
        for _ in range(5):
            assert order(await asker.search(QUESTION)) == own
        assert len(server.asked) == 1, "the next are spared"
        assert TROUBLES[mood] in asker.health.reason
        assert "own order" in asker.health.reason
        server.mood = "well"
        server.go_on.set()
        over(asker)
        assert order(await asker.search(QUESTION)) != own
        assert asker.health.reason == ""


def over(asker: Asker) -> None:
    """Let the time in which the reranker is spared be over."""
    reranker = asker._service._finder._reranker  # type: ignore[union-attr]
    assert reranker is not None
    reranker._asked_again_at = 0.0
    reranker._within_s = 60.0


async def test_a_reply_that_drips_is_cut_off(tmp_path: Path) -> None:
    own = await own_order(tmp_path)
    left = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            left.set()

    async with tcp_server(drip) as url, reranked(tmp_path, url, rerank_within_s=0.2) as asker:
        assert order(await asker.search(QUESTION)) == own
        assert "no reply within 0.2 s" in asker.health.reason
        async with asyncio.timeout(60):
            await left.wait()


async def test_a_search_that_waits_too_long_ends_no_other() -> None:
    server = Backwards("hangs")
    async with http_server(server) as url:
        reranker = Reranker(Retriever(rerank_url=url, rerank_within_s=60.0), lambda _: None)

        async def ask() -> list[str]:
            return await reranker.order(
                "?", ["a", "b"], text=lambda one: one, stays=lambda _: False
            )

        patient = asyncio.create_task(ask())
        async with asyncio.timeout(60):
            await server.came.wait()
        reranker._within_s = 0.05
        assert await ask() == ["a", "b"]
        server.go_on.set()
        assert await patient == ["b", "a"]
        reranker.close()


async def test_a_call_ended_before_it_began_asks_nothing() -> None:
    server = Backwards()
    async with http_server(server) as url:
        model = ModelServer(url, "retriever.rerank_url")
        call = Call()
        call.end()
        with pytest.raises(Retryable, match="ended before"):
            await asyncio.to_thread(
                model.post, "rerank", "/", {}, patience_s=60.0, hint="", call=call
            )
    assert server.asked == []


async def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    own = await own_order(tmp_path)
    async with reranked(tmp_path, f"http://127.0.0.1:{free_port()}") as asker:
        assert order(await asker.search(QUESTION)) == own
        assert "refused" in asker.health.reason


async def test_what_defines_the_asked_code_stays_first(tmp_path: Path) -> None:
    question = f"{CODE}: how do I clean the fan filter of the drive?"
    own = await own_order(tmp_path, question, limit=MANY)
    assert own[0] == ROW.ordinal
    server = Backwards()
    async with http_server(server) as url, reranked(tmp_path, url) as asker:
        there = order(await asker.search(question, limit=MANY))
    assert there == [own[0], *own[:0:-1]]
    assert len(server.asked) == 1
    assert told(ROW) not in server.asked[0]["documents"]  # type: ignore[operator]


async def test_only_the_best_are_put_in_order_and_of_them_as_many_as_wanted(tmp_path: Path) -> None:
    own = await own_order(tmp_path, limit=MANY)
    server = Backwards()
    async with http_server(server) as url:
        async with reranked(tmp_path, url, rerank_passages=3) as asker:
            assert order(await asker.search(QUESTION, limit=MANY)) == [*own[2::-1], *own[3:]]
            assert order(await asker.search(QUESTION, limit=1)) == [own[2]]
        async with reranked(tmp_path, url, rerank_model="bge") as asker:
            await asker.search(QUESTION, limit=1)
    three = {"query": QUESTION, "documents": [told(PASSAGES[n]) for n in own[:3]]}
    assert server.asked[:2] == [three, three]
    everything = {"query": QUESTION, "documents": [told(PASSAGES[n]) for n in own], "model": "bge"}
    assert server.asked[2:] == [everything]


async def test_what_no_manual_answers_is_not_answered_by_a_reranker(tmp_path: Path) -> None:
    server = Backwards()
    async with http_server(server) as url, reranked(tmp_path, url) as asker:
        await asker.add(DOCUMENT, PASSAGES)
        assert (await asker.search("best recipe for sourdough bread")).hits == []
        assert (await asker.search("what does F0999 mean")).hits == []
        assert server.asked == []


async def test_https_with_an_authority_of_the_plants_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    signed = authority.sign("reranker")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(signed.cert, signed.key)
    own = await own_order(tmp_path)
    async with http_server(Backwards(), context) as url:
        async with reranked(tmp_path, url, rerank_ca=str(authority.pem)) as asker:
            assert order(await asker.search(QUESTION)) != own
            assert asker.health.reason == ""
        async with reranked(tmp_path, url) as asker:
            assert order(await asker.search(QUESTION)) == own
            assert "certificate" in asker.health.reason


async def test_the_pause_grows_and_one_alone_tries_again() -> None:
    server, now, troubles = Backwards("sends no JSON"), 1000.0, list[AndonError | None]()

    async with http_server(server) as url:
        reranker = Reranker(
            Retriever(rerank_url=url, rerank_within_s=60.0), troubles.append, clock=lambda: now
        )

        async def ask() -> list[str]:
            return await reranker.order(
                "?", ["a", "b"], text=lambda one: one, stays=lambda _: False
            )

        pauses = []
        for _ in range(6):
            assert await ask() == ["a", "b"]
            pauses.append(reranker._asked_again_at - now)
            now = reranker._asked_again_at
        assert pauses == [5.0, 10.0, 20.0, 40.0, rerank.LONGEST_REST_S, rerank.LONGEST_REST_S]
        assert len(server.asked) == 6
        server.mood = "well"
        assert sorted(await asyncio.gather(*(ask() for _ in range(4)))) == [
            ["a", "b"], ["a", "b"], ["a", "b"], ["b", "a"],
        ]  # fmt: skip
        assert len(server.asked) == 7
        assert troubles[-1] is None
        reranker.close()


def test_a_wrong_authority_is_told_at_the_start(tmp_path: Path) -> None:
    settings = Retriever(rerank_url="https://127.0.0.1:1", rerank_ca=str(tmp_path / "none.pem"))
    with pytest.raises(Fatal, match=r"none\.pem"):
        Reranker(settings, lambda _: None)


def test_without_one_configured_nothing_of_it_is_loaded() -> None:
    program = (
        "import sys\n"
        "from services.retriever.service import RetrieverService\n"
        "from services.runtime.config import Config\n"
        "service = RetrieverService(Config())\n"
        "assert service._reranker() is None\n"
        "print([m for m in sys.modules if m.startswith('services.') and"
        " m.endswith(('.rerank', '.model_server'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
