"""Report: runs the notebooks, publishes what they made, renders the pages.

It uses kdlib's data contract, settings, results and display; the rest of kdlib never imports it, and nothing here
imports TensorFlow. `python -m kdlib.report --help` is its command line.
"""

import sys

# For a check of web addresses that no notebook needs, jsonschema would take seconds to compile a grammar. It does
# without where the package is missing.
sys.modules.setdefault("rfc3987_syntax", None)
