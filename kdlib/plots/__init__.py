"""Every figure of the report, with its caption and its alt text.

A function takes plain arrays or frames and returns a `Plot`; nothing is trained, read or written. Captions and
alt texts are computed from what is drawn. `results` is always the tidy frame: columns dataset, method, seed, split,
domain, metric, value; `titles` is a dict {method: title} of the methods to draw, in their order (if empty: all, by
name). Leaves out animation and interaction.
"""

from kdlib.plots.accuracy import accuracies, gap_to_ceiling, per_domain
from kdlib.plots.decision_regions import boundaries, boundary_grid
from kdlib.plots.heatmap import heat_map
from kdlib.plots.intervals import forest, ladder, reliability, spread
from kdlib.plots.learning_curves import learning_curves
from kdlib.plots.scatter import scatter, scatters
from kdlib.plots.sweeps import response, responses
from kdlib.plots.theme import Plot

__all__ = [
    "Plot", "accuracies", "boundaries", "boundary_grid", "forest", "gap_to_ceiling", "heat_map", "ladder",
    "learning_curves", "per_domain", "reliability", "response", "responses", "scatter", "scatters", "spread",
]  # fmt: skip
