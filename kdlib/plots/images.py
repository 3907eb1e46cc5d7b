"""Figures as images of few bytes, for light and dark, wide and narrow pages. Out of scope: showing them (`display`)."""

import base64
import io
import math
import numbers
import os
from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

DOTS_PER_INCH = 192  #: two image pixels per CSS pixel, sharp on dense screens
COLOURS = 48  #: of an image, which looks the same as with all and takes half of the bytes
DARK = {"light": "dark", "narrow": "narrow_dark"}  #: the page that shows the same on dark paper


def encode(figures: dict[str, Figure], data: pd.DataFrame | None = None, darken: Callable | None = None) -> dict:
    """The images and numbers of a figure, in texts and lists: `images` (WebP, base64), `png`, `sizes`, `data`.

    figures: the same figure for different pages, `light`, and where there are others `dark`, `narrow`, `narrow_dark`.
    data: the numbers drawn. darken: called with a figure that has no dark one beside it, returns what its colours
    become on a dark page (`dark.dark_colours`). Sizes are in CSS pixels.
    """
    drawn = {style: _drawn(each) for style, each in figures.items()}
    if darken:
        pairs = [(style, DARK[style]) for style in figures if style in DARK and DARK[style] not in figures]
        drawn |= {dark: _recoloured(drawn[light], darken(figures[light])) for light, dark in pairs}
    # This effort takes two thirds of the default's time, for less than half a percent more bytes.
    encoded = {
        "images": {style: _encoded(each, "WEBP", lossless=True, method=2, quality=30) for style, each in drawn.items()},
        "png": _encoded(drawn["light"], "PNG", compress_level=6),
        "sizes": {style: [side * 96 // DOTS_PER_INCH for side in each.size] for style, each in drawn.items()},
    }
    if data is not None:
        rows = [list(map(_rounded, row)) for row in data.itertuples(index=False, name=None)]
        encoded["data"] = {"columns": list(map(str, data.columns)), "rows": rows}
    return encoded


def _drawn(fig: Figure) -> Image.Image:
    """A figure as an image of few colours. The same figure gives the same image.

    The background's own colour is among them, or a faint box would show on the page.
    """
    canvas = FigureCanvasAgg(fig)
    fig.set_dpi(DOTS_PER_INCH)
    # Where the layout is fixed, "tight" would draw the figure once for its size alone.
    pad = matplotlib.rcParams["savefig.pad_inches"]
    box = "tight" if fig.get_layout_engine() else fig.get_tightbbox().padded(pad)
    fig.savefig(os.devnull, format="rgba", dpi=DOTS_PER_INCH, bbox_inches=box)
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    colours = image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    palette, background = colours.getpalette(), 3 * colours.getpixel((0, 0))
    palette[background : background + 3] = image.getpixel((0, 0))
    colours.putpalette(palette)
    return colours


def _recoloured(image: Image.Image, recolour) -> Image.Image:
    other = image.copy()
    other.putpalette(recolour(np.reshape(image.getpalette(), (-1, 3))).ravel().tolist())
    return other


def _encoded(image: Image.Image, form: str, **settings) -> str:
    """An image in base64."""
    file = io.BytesIO()
    (image if form == "PNG" else image.convert("RGB")).save(file, format=form, **settings)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _rounded(value):
    """A value for JSON: numbers to six digits, missing ones as None."""
    if isinstance(value, numbers.Integral) or not isinstance(value, numbers.Real):
        return int(value) if isinstance(value, numbers.Integral) else value if value is None else str(value)
    return float(f"{value:.6g}") if math.isfinite(value) else None
