"""One door to the language model."""
