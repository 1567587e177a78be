"""What every process needs, and only that."""
