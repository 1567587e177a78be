"""`python -m services.retriever [--config FILE]`."""

import sys

from services.retriever.service import RetrieverService
from services.runtime.process import run

sys.exit(run(RetrieverService))
