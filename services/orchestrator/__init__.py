"""Decides what happens to a fault; owns the ledger."""
