"""The press: runs the notebooks, publishes what they made, renders the pages people read.

It knows kdlib's data contract and settings; the science never imports it, and nothing here imports
TensorFlow. `python -m kdlib.report --help` is its command line.
"""
