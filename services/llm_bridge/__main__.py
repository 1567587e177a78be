"""`python -m services.llm_bridge [--config FILE]`."""

import sys

from services.llm_bridge.service import LlmBridgeService
from services.runtime.process import run

sys.exit(run(LlmBridgeService))
