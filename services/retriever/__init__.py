"""Passages out: owns the corpus and the indexes."""
