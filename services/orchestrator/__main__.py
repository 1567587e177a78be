"""`python -m services.orchestrator [--config FILE]`."""

import sys

from services.orchestrator.service import OrchestratorService
from services.runtime.process import run

sys.exit(run(OrchestratorService))
