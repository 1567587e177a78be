"""Figures for Prometheus: watches what the others say on the bus, and serves it by HTTP."""
