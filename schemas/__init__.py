"""The contract: every message and every topic, nothing else."""
