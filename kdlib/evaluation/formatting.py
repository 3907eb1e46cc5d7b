"""Numbers as text."""

import numpy as np


def counted_seeds(*counts) -> str:
    """`30 seeds`."""
    return f"{' or '.join(map(str, counts))} seed{'s' * (counts != (1,))}"


def change(mean, low, high, digits: int = 4) -> str:
    """`+0.0117 [+0.0112, +0.0122]`; the mean alone where there is no interval, as with one seed."""
    interval = "" if np.isnan(low) else f" [{low:+.{digits}f},\u00a0{high:+.{digits}f}]"
    return f"{mean:+.{digits}f}{interval}"
