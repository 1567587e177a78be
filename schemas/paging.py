"""Lists that grow with the plant are asked for page by page."""

from __future__ import annotations

from typing import Annotated

import msgspec

PAGE = 500
"""Documents of one page: a message has at most 2 MiB, a library any number of them."""
PageLimit = Annotated[int, msgspec.Meta(ge=1, le=PAGE)]
"""How many are wanted at once."""
