"""Every figure of the report, with its caption and its alt text.

A function takes plain arrays or frames and returns a `Plot`; nothing is trained, read or written. Captions and
alt texts are computed from what is drawn. `results` is always the tidy frame: columns dataset, method, seed, split,
domain, metric, value; `titles` is a dict {method: title} of the methods to draw, in their order (if empty: all, by
name). Leaves out animation and interaction.
"""

from kdlib.plots.comparisons import forest, ladder, reliability, spread
from kdlib.plots.curves import learning_curves
from kdlib.plots.heat import heat_map
from kdlib.plots.looks import Plot
from kdlib.plots.maps import boundaries, boundary_grid
from kdlib.plots.points import scatter, scatters
from kdlib.plots.scores import accuracies, gap_to_ceiling, per_domain
from kdlib.plots.sweeps import response, responses

__all__ = [
    "Plot", "accuracies", "boundaries", "boundary_grid", "forest", "gap_to_ceiling", "heat_map", "ladder",
    "learning_curves", "per_domain", "reliability", "response", "responses", "scatter", "scatters", "spread",
]  # fmt: skip
