"""Andon: small processes that answer machine faults from the plant's manuals."""
