"""What training costs here and elsewhere. `python -m benchmarks` measures; README.md is the page it writes."""
