"""The one registry: every topic, what it carries, and who may say it.

Subscriptions, the broker's access list, the README's table, docs/asyncapi.yaml and the contract
tests derive from `CHANNELS` and `RPCS`.
"""

from __future__ import annotations

from schemas import (
    answers,
    errors,
    faults,
    generation,
    health,
    knowledge,
    models,
    prompts,
    retrieval,
)
from schemas.channel import Channel, Rpc

ASKED = "ask/"
"""What the place of the asset begins with where a person asked: `andon/answer/ask/<client>`."""

FAULT = Channel(
    name="fault",
    address="plant/+/fault",
    type=bytes,
    encoding="any",
    owner="plc",
    readers=("orchestrator",),
    summary="A machine's fault: JSON object, plain text, or number. Any filter in `triggers:`.",
    prefixed=False,
)
ASK = Channel(
    name="ask",
    address="ask/{client}",
    type=answers.Ask,
    encoding="json",
    owner="client",
    readers=("orchestrator",),
    summary="A question, as JSON or plain text.",
)
FEEDBACK = Channel(
    name="feedback",
    address="feedback/{answer_id}",
    type=answers.Feedback,
    encoding="json",
    owner="client",
    readers=("orchestrator",),
    summary="Whether an answer helped, and what should be said instead.",
)
ANSWER = Channel(
    name="answer",
    address="answer/{asset}",
    type=answers.Answer,
    encoding="json",
    owner="orchestrator",
    readers=("client",),
    retain=True,
    summary="The answer, first from passages, then final; `ask/<client>` in place of the asset.",
)
DISPLAY = Channel(
    name="display",
    address="display/{asset}",
    type=str,
    encoding="text",
    owner="orchestrator",
    readers=("client",),
    retain=True,
    summary="The answer for a small display: at most 3 lines of 80 characters.",
)
STREAM = Channel(
    name="stream",
    address="stream/{asset}",
    type=answers.StreamDelta,
    encoding="json",
    owner="orchestrator",
    readers=("client",),
    qos=0,
    summary="The model's answer while it is written.",
)
ALARM = Channel(
    name="alarm",
    address="alarm/{asset}",
    type=faults.Alarm,
    encoding="json",
    owner="orchestrator",
    readers=("client",),
    retain=True,
    summary="The alarm that stands on a machine.",
)
FLOOD = Channel(
    name="flood",
    address="flood/{area}",
    type=faults.Flood,
    encoding="json",
    owner="orchestrator",
    readers=("client",),
    retain=True,
    summary="More alarms in an area than a person can read.",
)
DOCUMENT = Channel(
    name="document",
    address="document/{doc_id}",
    type=knowledge.DocumentState,
    encoding="json",
    owner="ingest",
    readers=("client",),
    retain=True,
    summary="State and progress of a document.",
)
STATUS = Channel(
    name="status",
    address="status/{service}",
    type=health.ServiceStatus,
    encoding="json",
    owner="service",
    readers=("client", "orchestrator"),
    retain=True,
    summary="State of a service; `offline` is its will.",
)
MARK = Channel(
    name="mark",
    address="mark/{service}",
    type=str,
    encoding="text",
    owner="service",
    readers=("service",),
    retain=True,
    summary="By which a service knows whether the broker kept what it had retained.",
)
REPLY = Channel(
    name="reply",
    address="reply/{client_id}",
    type=bytes,
    encoding="any",
    owner="service",
    readers=("service",),
    summary="Where replies to a service's own requests come in.",
)

CHANNELS: tuple[Channel, ...] = tuple(
    one for one in [*globals().values()] if isinstance(one, Channel)
)
"""All of the above: none can be forgotten."""

SEARCH = Rpc(
    "retriever", "search", retrieval.Search, retrieval.Found, "Find the passages that answer."
)
INDEX = Rpc(
    "retriever",
    "index",
    retrieval.IndexPassages,
    retrieval.Indexed,
    "Take a batch of passages; may come twice.",
)
ACTIVATE = Rpc(
    "retriever",
    "activate",
    retrieval.Activate,
    retrieval.Indexed,
    "Let a complete revision answer.",
)
DESCRIBE = Rpc(
    "retriever",
    "describe",
    retrieval.Describe,
    retrieval.Indexed,
    "Change what is said about a revision.",
)
PRUNE = Rpc(
    "retriever", "prune", retrieval.Prune, retrieval.Indexed, "Forget revisions that do not answer."
)
FORGET = Rpc(
    "retriever", "remove", retrieval.RemovePassages, retrieval.Indexed, "Forget a document."
)
CORPUS = Rpc(
    "retriever", "corpus", retrieval.CorpusQuery, retrieval.CorpusState, "What the corpus holds."
)
UNITS = Rpc(
    "retriever",
    "units",
    retrieval.UnitQuery,
    retrieval.UnitList,
    "Which fault codes the manuals of an asset define.",
)
PASSAGES = Rpc(
    "retriever",
    "passages",
    retrieval.PassageQuery,
    retrieval.PassageList,
    "The passages of a revision with their vectors.",
)
ADD = Rpc(
    "ingest", "add", knowledge.AddDocument, knowledge.AddedDocument, "Take a file into the library."
)
DOCUMENTS = Rpc(
    "ingest", "documents", knowledge.ListDocuments, knowledge.DocumentList, "List the library."
)
EDIT = Rpc(
    "ingest",
    "edit",
    knowledge.EditDocument,
    knowledge.EditedDocument,
    "Change what is said about a document.",
)
ROLLBACK = Rpc(
    "ingest",
    "rollback",
    knowledge.Rollback,
    knowledge.RolledBack,
    "Let a revision that was kept answer again.",
)
REMOVE = Rpc(
    "ingest", "remove", knowledge.RemoveDocument, knowledge.RemovedDocument, "Remove a document."
)
RECEIVE = Rpc(
    "ingest",
    "receive",
    knowledge.ReceiveDocument,
    knowledge.ReceivedDocument,
    "Take a file into the library whose passages another box made.",
)
PASSED = Rpc(
    "ingest",
    "passed",
    knowledge.Passed,
    knowledge.PassedDocument,
    "The passages of a received file are on their way, or complete.",
)
GENERATE = Rpc(
    "llm_bridge",
    "generate",
    generation.Generate,
    generation.Piece,
    "Work out an answer with the language model.",
    streamed=True,
)
URGE = Rpc(
    "llm_bridge",
    "urge",
    generation.Urge,
    generation.Urged,
    "A request to generate became more urgent, or is not wanted any more.",
)
PROMPTS = Rpc(
    "orchestrator",
    "prompts",
    prompts.ListPrompts,
    prompts.PromptList,
    "Which prompts answer, or the versions of one.",
)
PROMPT = Rpc(
    "orchestrator",
    "prompt",
    prompts.ShowPrompt,
    prompts.PromptVersion,
    "A version of a prompt with its text.",
)
SAVE_PROMPT = Rpc(
    "orchestrator",
    "save_prompt",
    prompts.SavePrompt,
    prompts.SavedPrompt,
    "Keep a text as a new version of a prompt.",
)
ACTIVATE_PROMPT = Rpc(
    "orchestrator",
    "activate_prompt",
    prompts.ActivatePrompt,
    prompts.ActivatedPrompt,
    "Make new answers with a version of a prompt.",
)
ROLL_BACK_PROMPT = Rpc(
    "orchestrator",
    "roll_back_prompt",
    prompts.RollBackPrompt,
    prompts.ActivatedPrompt,
    "Let the version of a prompt answer that was active before.",
)
TRY_PROMPT = Rpc(
    "orchestrator",
    "try_prompt",
    prompts.TryPrompt,
    prompts.TriedPrompt,
    "Ask the model with another prompt, beside an answer of the past; nothing is kept.",
)
TRACE = Rpc(
    "orchestrator", "trace", prompts.TraceAnswer, prompts.Trace, "How an answer came about."
)
MAKE_AGAIN = Rpc(
    "orchestrator",
    "make_again",
    prompts.MakeAgain,
    prompts.MadeAgain,
    "Make an answer again as it was made; nothing is kept.",
)
LIST_MODELS = Rpc(
    "llm_bridge", "models", models.ListModels, models.ModelList, "Which language models there are."
)
USE_MODEL = Rpc(
    "llm_bridge",
    "use",
    models.UseModel,
    models.UseStep,
    "Change to another language model.",
    streamed=True,
)

RPCS: tuple[Rpc, ...] = tuple(one for one in [*globals().values()] if isinstance(one, Rpc))
"""All of the above."""

CALLS: dict[str, tuple[Rpc, ...]] = {
    "orchestrator": (SEARCH, CORPUS, UNITS, GENERATE, URGE),
    "ingest": (INDEX, ACTIVATE, DESCRIBE, PRUNE, FORGET, CORPUS),
    "cli": RPCS,
}
"""Who asks what; the broker lets nobody else."""

PROBLEM = errors.Problem
"""What comes instead of any reply when the request failed."""
