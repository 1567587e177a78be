"""`python -m services.ingest [--config FILE]`."""

import sys

from services.ingest.service import IngestService
from services.runtime.process import run

sys.exit(run(IngestService))
