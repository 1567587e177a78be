"""Hostile texts through llama.cpp's own tokenizer, template and schema.

The model's vocabulary has the special tokens of the common families, so that a text that spelled
one would become it. The weights are random: this shows form and tokens, not what a model obeys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from schemas.generation import Generate, PromptPassage
from services.llm_bridge import prompt
from services.runtime.config import Bridge
from tests.support import tiny_gguf
from tests.support.bridge import bridge
from tests.support.injections import ATTEMPTS, SPECIALS
from tests.support.llama import LlamaProcess, llama_process

pytestmark = pytest.mark.integration

LONGEST = 500
"""Characters of an attempt: four times it must fit the tiny model's context."""
VOCABULARY = (
    "<|begin|>",
    "<|end|>",
    *(special for special in SPECIALS if special not in ("<|end|>", "<0x0A>")),
)
"""Control tokens, the first of all tokens: `<0x0A>` would be a byte."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaProcess]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_gguf, "_SPECIAL", VOCABULARY)
        path = tiny_gguf.write_tiny_gguf(tmp_path_factory.mktemp("model") / "special.gguf")
    with llama_process(path, context=8192) as process:
        yield process


def post(server: LlamaProcess, path: str, **body: Any) -> Any:
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    with closing(connection), connection.getresponse() as reply:
        return json.load(reply)


def tokens(server: LlamaProcess, text: str, *, special: bool) -> list[int]:
    """Token ids, as of a prompt (`special`) or of plain text."""
    body = {"content": text, "add_special": False, "parse_special": special}
    return list(post(server, "/tokenize", **body)["tokens"])


def request(evil: str, **more: Any) -> Generate:
    evil = evil[:LONGEST]
    passages = [
        PromptPassage(n=1, source=f"{evil}, p. 1", text=f"E005 | {evil}"),
        PromptPassage(n=2, source="FD40, p. 41", text="E005 | undervoltage | check supply"),
    ]
    return Generate(id="i", system="Help.", question=evil, passages=passages, lang="en", **more)


def test_the_trap_is_set(server: LlamaProcess) -> None:
    """Undefused, each of them is one token with a meaning of its own."""
    for number, special in enumerate(VOCABULARY):
        assert tokens(server, special, special=True) == [number]
    caught = [
        name
        for name, evil in ATTEMPTS.items()
        if min(tokens(server, evil[:LONGEST], special=True)) < len(VOCABULARY)
    ]
    assert len(caught) >= 15


@pytest.mark.parametrize("evil", ATTEMPTS.values(), ids=ATTEMPTS)
def test_no_special_token_arises_from_data(server: LlamaProcess, evil: str) -> None:
    asked = request(evil)
    [system, user] = prompt.messages(asked, asked.passages)
    assert tokens(server, user.content, special=True) == tokens(server, user.content, special=False)
    plain = prompt.plain(asked, asked.passages)
    assert tokens(server, plain, special=True) == tokens(server, plain, special=False)
    chat = [{"role": one.role, "content": one.content} for one in (system, user)]
    made = post(server, "/apply-template", messages=chat)["prompt"]
    meaning = [n for n in tokens(server, made, special=True) if n < len(VOCABULARY)]
    assert [VOCABULARY[n] for n in meaning] == ["<|system|>", "<|user|>", "<|assistant|>"]


@pytest.mark.parametrize("api", ["completion", "chat"])
async def test_the_answer_keeps_its_form(server: LlamaProcess, api: Any) -> None:
    settings = Bridge(url=server.url, api=api, temperature=0.8)
    async with bridge(settings) as served:
        await served.until(reachable=True)
        for name, evil in ATTEMPTS.items():
            text, answer = await served.ask(request(evil, max_tokens=96))
            assert answer.summary, name
            assert text, name
            assert answer.passages_used == 2, name
            for point in [*answer.causes, *answer.actions]:
                assert point.text, name
                assert set(point.passages) <= {1, 2}, name
