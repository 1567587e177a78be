"""A retriever in a process of its own that changes its model, to be killed in the middle.

`python -m tests.support.model_change FOLDER MODEL` says on its output how far it is, a line a group
of passages, and `done` when the model of the folder MODEL answers.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from services.retriever import grouping
from services.runtime.config import Embedding
from tests.support.retriever import retriever


async def main(folder: Path, model: Path) -> None:
    grouping.groups.__defaults__ = (2,)  # many steps of two passages
    embedding = Embedding(model=str(model), threads=1)
    told = ""
    async with retriever(folder, embedding, budget_mb=4096) as asker:
        while not (await asker.corpus()).embedding.startswith(model.name):
            if told != (told := str(asker.health.facts["embedding_change"])):
                sys.stdout.write(f"{told}\n")
                sys.stdout.flush()
            await asyncio.sleep(0.002)
        sys.stdout.write("done\n")
        sys.stdout.flush()
        await asyncio.sleep(60)  # it is killed


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
