"""Report: runs the notebooks, publishes what they made, renders the pages.

It uses kdlib's data contract, settings, results and display; the rest of kdlib never imports it, and nothing here
imports TensorFlow. `python -m kdlib.report --help` is its command line.
"""
