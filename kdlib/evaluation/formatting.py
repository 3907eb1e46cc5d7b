"""Numbers and lists as text, the same in sentences, tables and figures.

A minus is the sign −, and an interval does not break across lines. Out of scope: the typography of a page, which
puts a thin space before a percent sign.
"""

import math
from collections.abc import Callable, Iterable

NO_BREAK = "\N{NO-BREAK SPACE}"
THIN = "\N{NARROW NO-BREAK SPACE}"


def decimal(value: float, digits: int = 4) -> str:
    """`0.9812`, `−0.5000`."""
    return f"{value:z.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 4) -> str:
    """`+0.0117`, `−0.0004`, of a difference."""
    return f"{value:+z.{digits}f}".replace("-", "−")


def percent(share: float, digits: int = 0) -> str:
    """`75%`, or with `digits=1` `75.3%`, of a share of 1."""
    return decimal(100 * share, digits) + "%"


def whole(number: int) -> str:
    """`2400`, `12 000`: thousands are set apart from five digits on."""
    return f"{number:,}".replace(",", THIN).replace("-", "−") if abs(number) >= 10_000 else str(number)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 seed`, `30 seeds`, `2 classes`; plural: of nouns that take more than an s."""
    return f"{whole(number)} {noun if number == 1 else plural or noun + 's'}"


def value_range(values: Iterable, form: Callable = str) -> str:
    """`3 to 5`, from the least to the greatest; one of them where they read the same."""
    values = list(values)
    low, high = form(min(values)), form(max(values))
    return low if low == high else f"{low} to {high}"


def counted_range(numbers: Iterable[int], noun: str) -> str:
    """`30 seeds`, `3 to 4 seeds`."""
    numbers = set(numbers)
    return f"{value_range(numbers, whole)} {noun if numbers == {1} else noun + 's'}"


def plus_minus(mean: float, sd: float | None = None, digits: int = 4) -> str:
    """`0.9830 ± 0.0050`; the mean alone where there is no deviation, as with one seed."""
    return decimal(mean, digits) + ("" if sd is None or math.isnan(sd) else f" ± {decimal(sd, digits)}")


def estimate(mean: float, low: float, high: float, digits: int = 2) -> str:
    """`98.12% [98.01%, 98.20%]` of shares of 1; the mean alone where there is no interval, as with one seed."""
    return _with_interval(mean, low, high, digits, percent)


def difference(mean: float, low: float, high: float, digits: int = 4) -> str:
    """`+0.0117 [+0.0112, +0.0122]`; the mean alone where there is no interval, as with one seed."""
    return _with_interval(mean, low, high, digits, signed)


def points(mean: float, low: float = math.nan, high: float = math.nan, digits: int = 2) -> str:
    """`+1.17 [+1.12, +1.22] points`, of a difference between two accuracies as shares of 1."""
    return f"{difference(100 * mean, 100 * low, 100 * high, digits)} points"


def setting(value) -> str:
    """A setting's value: `4`, `0.5`, `cosine`, or `64-32` of a list."""
    if isinstance(value, list | tuple):
        return "-".join(map(setting, value))
    return value if isinstance(value, str) else f"{value:g}"


def and_list(items: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last


def _with_interval(mean, low, high, digits, form) -> str:
    if math.isnan(low):
        return form(mean, digits)
    return f"{form(mean, digits)} [{form(low, digits)},{NO_BREAK}{form(high, digits)}]"
