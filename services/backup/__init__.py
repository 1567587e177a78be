"""Backups: made while everything runs, checked, rotated, and brought back."""
