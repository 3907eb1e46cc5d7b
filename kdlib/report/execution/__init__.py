"""Execution: one notebook run in a private folder, and whether it really ran to its end."""
