"""`python -m services.metrics [--config FILE]`."""

import sys

from services.metrics.service import MetricsService
from services.runtime.process import run

sys.exit(run(MetricsService))
