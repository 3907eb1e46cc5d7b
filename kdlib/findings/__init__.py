"""Findings: sentences and tables computed from results, so that no number is typed into a notebook's prose."""
