"""Execution: one notebook in a private folder, and the proof that it completed."""
