"""The main job once, visibly: `make demo`.

Starts a private broker and the four services in a temporary folder, adds the sample manual,
publishes a fault as a PLC would and a question as a scanner would, and prints what
subscribers received. Ends with exit code 1 and a reason if any step fails.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec

from services.runtime.config import Config
from services.runtime.errors import AndonError, leaves
from services.up import Up

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parent / "build" / "sample"
LIMIT_S = 240.0
"""Some seconds on a box, more on one that is busy or slow."""
FAULT = {"code": "E005", "text": "DC bus undervoltage", "severity": "critical"}
QUESTION = "变频器报E005错误怎么办?"


class DemoFailedError(Exception):
    """A step did not do what it should."""


async def call(*command: str) -> str:
    """Run a program to its end and return what it printed."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    if process.returncode:
        said = (err or out).decode().strip()
        raise DemoFailedError(
            f"{Path(command[0]).name} ended with code {process.returncode}: {said}"
        )
    return out.decode()


async def exchange(port: int, place: str, topic: str, payload: str) -> dict[str, object]:
    """Publish with mosquitto_pub; print and return what mosquitto_sub received for it."""
    answer_topic, display_topic = f"andon/answer/{place}", f"andon/display/{place}"
    subscriber = await asyncio.create_subprocess_exec(
        *("mosquitto_sub", "-p", str(port), "-q", "1", "-F", "%t\t%p\x1e"),
        *("-t", answer_topic, "-t", display_topic),
        stdout=PIPE,
    )
    if subscriber.stdout is None:
        raise DemoFailedError("mosquitto_sub has no output")
    try:
        await asyncio.sleep(0.3)  # until it has subscribed; what it misses is retained anyway
        print(f"\n$ mosquitto_pub -t {topic} -q 1 -m '{payload}'")
        begun = time.monotonic()
        await call("mosquitto_pub", "-p", str(port), "-q", "1", "-t", topic, "-m", payload)
        answer: dict[str, object] = {}
        display = ""
        while not (answer.get("stage") == "final" and display):
            record = (await subscriber.stdout.readuntil(b"\x1e")).decode().strip("\n\x1e")
            got, _, text = record.partition("\t")
            took = (time.monotonic() - begun) * 1000
            if got == display_topic:
                display = text
                print(
                    f"\n{got}  (after {took:.0f} ms)\n"
                    + "".join(f"  | {x}\n" for x in text.split("\n")),
                    end="",
                )
            else:
                answer = json.loads(text)
                print(f"\n{got}  (after {took:.0f} ms)\n{readable(answer)}")
        return answer
    finally:
        subscriber.terminate()
        await subscriber.wait()


def readable(answer: dict[str, object]) -> str:
    """Return the parts of an answer a person looks for; the message has more."""
    shown = {
        key: answer[key]
        for key in ("stage", "code", "summary", "causes", "actions", "answered_by", "note")
    }
    citations = answer["citations"]
    if isinstance(citations, list):
        shown["citations"] = [
            {k: c[k] for k in ("n", "document", "file", "page", "section", "score")}
            for c in citations[:2]
        ]
    shown["timings_ms"] = answer["timings_ms"]
    text = json.dumps(shown, ensure_ascii=False, indent=2)
    return "\n".join(f"  {line}" for line in text.split("\n"))


def check(answer: dict[str, object], language: str) -> None:
    """Make sure that the answer says what the manual says, and where."""
    citations = answer["citations"]
    wanted = {
        "causes": bool(answer["causes"]),
        "actions": bool(answer["actions"]),
        "a citation with document and page": isinstance(citations, list)
        and bool(citations)
        and bool(citations[0]["document"])
        and bool(citations[0]["page"]),
        f"language {language}": answer["lang"] == language,
        "code E005": answer["code"] == "E005",
    }
    if missing := [name for name, there in wanted.items() if not there]:
        raise DemoFailedError(f"the answer lacks {', '.join(missing)}")


async def show(folder: Path) -> None:
    """Do the whole job."""
    print("Making the sample manual")
    await call(sys.executable, str(HERE / "sample" / "make_manual.py"), str(SAMPLE))
    up = Up(
        msgspec.structs.replace(Config(), data=str(folder / "data"), log="warning"),
        port=0,
        tell=print,
    )
    ready = asyncio.Event()
    print("Starting a broker and the services")
    running = asyncio.create_task(up.run(ready=lambda _up: ready.set()))
    try:
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        andon = (sys.executable, "-m", "services.cli")
        config = ("--config", str(up.config_file))
        for manual in sorted(SAMPLE.glob("*.pdf")):
            print(f"\n$ andon add '{manual.name}'")
            print(await call(*andon, "add", str(manual), *config), end="")
        port = int(up.config.broker.url.rpartition(":")[2])
        fault = json.dumps(FAULT)
        check(await exchange(port, "plant/motor7", "plant/motor7/fault", fault), "en")
        check(await exchange(port, "ask/scanner3", "andon/ask/scanner3", QUESTION), "zh")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def main() -> int:
    """Run it within its time, in a folder that goes away afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="andon-demo-"))
    try:
        async with asyncio.timeout(LIMIT_S):
            await show(folder)
    except TimeoutError:
        print(f"\nThe demo failed: not done within {LIMIT_S:.0f} s", file=sys.stderr)
        return 1
    except (DemoFailedError, AndonError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except ExceptionGroup as group:
        print(f"\nThe demo failed: {leaves(group)[0]}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\nThat was the main job. `make run` stays up; README.md shows how to connect a PLC.")
    print(f"The sample manual is in {SAMPLE.relative_to(HERE.parent)}.")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
