"""The answer that passages make by themselves, and one that takes another's words."""

from __future__ import annotations

import msgspec

from schemas.answers import Answer, Timings
from schemas.retrieval import Found
from services.orchestrator.extract import Extract, extract, split_maker
from services.orchestrator.notes import join, note
from services.orchestrator.phrases import phrases
from services.orchestrator.records import Work
from services.runtime.clock import now


def of_passages(work: Work, found: Found, timings: Timings, missing: str = "") -> Answer:
    """Return the answer that passages make by themselves.

    Args:
        work: what has to be answered.
        found: by the retriever.
        timings: how long that took.
        missing: key of the note that says why nothing could be searched for, if so.
    """
    known = [code for code in found.codes if code not in found.unknown_codes]
    code = work.code or next(iter(known or found.codes), "")
    if missing:
        return of_nothing(work, code, found, timings, note(missing, work.lang))
    got = extract(
        found.hits,
        question=work.question,
        code=code,
        lang=work.lang,
        unknown_codes=found.unknown_codes,
        near=found.near,
    )
    code = work.code or split_maker(code)[1]
    return _answer(
        work,
        code,
        found,
        timings,
        summary=got.summary,
        causes=got.causes,
        actions=got.actions,
        text=got.text,
        citations=got.citations,
        answered_by=got.answered_by,
        note=join(got.note, _still_read(work, found, got), _of_nobody(work, found)),
    )


def _still_read(work: Work, found: Found, got: Extract) -> str:
    """Say that what was not found may be in a manual that is still being read."""
    if got.citations and not found.unknown_codes:
        return ""
    if found.incomplete and not got.citations:
        return note("incomplete", work.lang)
    return note("reading", work.lang).format(count=found.reading) if found.reading else ""


def _of_nobody(work: Work, found: Found) -> str:
    """Say who asked for a machine that no document knows; a PLC's topic is as it is."""
    if "asset" not in found.nobody or not work.asset or not work.place.startswith("ask/"):
        return ""
    said = note("no_asset", work.lang).format(asset=work.asset)
    names = phrases(work.lang).comma.join(found.known)
    return join(said, note("known", work.lang).format(names=names) if names else "")


def of_nothing(work: Work, code: str, found: Found, timings: Timings, why: str) -> Answer:
    """Return the answer that says why there is none."""
    return _answer(work, code, found, timings, summary=why, text=why, note=why, answered_by="none")


def in_words_of(answer: Answer, standing: Answer) -> Answer:
    """Return an answer with the words of one to the same question that stands."""
    return msgspec.structs.replace(
        answer,
        summary=standing.summary,
        causes=standing.causes,
        actions=standing.actions,
        text=standing.text,
        citations=standing.citations,
        answered_by=standing.answered_by,
        model=standing.model,
        prompt=standing.prompt,
        grounded=standing.grounded,
        extract=standing.extract,
        note=standing.note,
    )


def _answer(work: Work, code: str, found: Found, timings: Timings, **parts: object) -> Answer:
    return msgspec.convert(
        {
            "id": work.answer_id,
            "stage": "final",
            "asset": work.asset,
            "code": code,
            "question": work.question,
            "lang": work.lang,
            "scope": found.scope,
            "occurrences": work.occurrences,
            "first_seen": work.first_seen,
            "last_seen": work.last_seen,
            "timings_ms": timings,
            "created": now(),
            "trace": work.trace,
            **parts,
        },
        Answer,
    )
