"""Every figure of the report, with its caption and its alt text.

A function takes plain arrays or frames and returns a `Plot`; nothing is trained, read or written. Captions and
alt texts are computed from what is drawn. `results` is always the tidy frame: columns dataset, method, seed, split,
domain, metric, value; `titles` is a dict {method: title} of the methods to draw, in their order (if empty: all, by
name). Out of scope: animation and interaction.
"""

from kdlib.plots.accuracy import accuracies, per_domain
from kdlib.plots.curves import learning_curves
from kdlib.plots.decision_regions import boundaries, disagreement
from kdlib.plots.heatmap import heat_map
from kdlib.plots.intervals import cumulative_ablation, forest, reliability, spread
from kdlib.plots.scatter import training_points, training_points_grid
from kdlib.plots.sweeps import accuracy_by_setting, accuracy_by_two_settings
from kdlib.plots.theme import Plot

__all__ = [
    "Plot", "accuracies", "accuracy_by_setting", "accuracy_by_two_settings", "boundaries",
    "cumulative_ablation", "disagreement", "forest", "heat_map", "learning_curves", "per_domain", "reliability",
    "spread", "training_points", "training_points_grid",
]  # fmt: skip
