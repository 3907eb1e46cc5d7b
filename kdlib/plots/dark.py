"""The colours of a figure on a dark page, from those on a light one, so that it is drawn once for both.

Where edges are smooth and areas tinted, a pixel is a mix of the page's paper, its ink and one other colour of the
style. The same mix of the dark style's colours is what drawing the figure in that style would give.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

STEPS = 32  #: of each share in a mix
GETTERS = "get_color", "get_facecolor", "get_edgecolor", "get_markerfacecolor", "get_markeredgecolor"


def dark_colours(figure: Figure, light: np.ndarray, dark: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What colours (n, 3) of a figure, 0 to 255, become on a dark page: a function of them.

    light, dark: a style's colours (colour, 3) of 0 to 1 in the same order: paper, ink, then all others. Only those that
    the figure has are mixed, since others are near some of their mixes.
    """
    drawn = (getattr(artist, name)() for artist in figure.findobj() for name in GETTERS if hasattr(artist, name))
    drawn = np.concatenate([to_rgba_array(colours)[:, :3] for colours in drawn])
    shares = np.array([(i, j, STEPS - i - j) for i in range(STEPS + 1) for j in range(STEPS + 1 - i)]) / STEPS
    mixed = [
        [shares @ (style[0], style[1], style[k]) for style in (light, dark)]
        for k in range(1, len(light))
        if (np.abs(drawn - light[k]).max(axis=1) < 0.5 / 255).any()
    ]
    on_light, on_dark = (255 * np.concatenate(each) for each in zip(*mixed, strict=True))
    nearest = cKDTree(on_light)
    return lambda colours: on_dark[nearest.query(colours)[1]].round().astype(int)
