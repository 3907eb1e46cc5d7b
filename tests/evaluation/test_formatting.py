"""Numbers and lists as text."""

import numpy as np
import pytest

from kdlib.evaluation import formatting


@pytest.mark.parametrize(("text", "expected"), [
    (formatting.decimal(0.98125), "0.9812"),
    (formatting.decimal(-0.5, digits=1), "−0.5"),
    (formatting.decimal(-1e-9), "0.0000"),
    (formatting.signed(0.0117), "+0.0117"),
    (formatting.signed(-0.004, digits=2), "+0.00"),
    (formatting.signed(-0.5, digits=1), "−0.5"),
    (formatting.percent(0.754), "75%"),
    (formatting.percent(-0.7531, digits=1), "−75.3%"),
    (formatting.percent(-1e-9), "0%"),
    (formatting.whole(2400), "2400"),
    (formatting.whole(-12000), "−12\u202f000"),
    (formatting.counted(1, "seed"), "1 seed"),
    (formatting.counted(0, "seed"), "0 seeds"),
    (formatting.counted(12000, "class", "classes"), "12\u202f000 classes"),
    (formatting.value_range([5, 3]), "3 to 5"),
    (formatting.value_range(np.array([0.01, -0.02]), formatting.signed), "−0.0200 to +0.0100"),
    (formatting.value_range([0.251, 0.249], formatting.percent), "25%"),
    (formatting.counted_range([1], "seed"), "1 seed"),
    (formatting.counted_range([30, 3, 30], "seed"), "3 to 30 seeds"),
    (formatting.plus_minus(0.983, 0.005), "0.9830 ± 0.0050"),
    (formatting.plus_minus(0.983, digits=2), "0.98"),
    (formatting.plus_minus(0.983, np.nan), "0.9830"),
    (formatting.estimate(0.9812, 0.9801, 0.982), "98.12% [98.01%,\u00a098.20%]"),
    (formatting.estimate(0.9812, np.nan, np.nan, digits=1), "98.1%"),
    (formatting.difference(0.01, -0.005, 0.015, digits=3), "+0.010 [−0.005,\u00a0+0.015]"),
    (formatting.difference(-1.0, np.nan, np.nan, digits=2), "−1.00"),
    (formatting.points(0.0117, 0.0112, -0.0122), "+1.17 [+1.12,\u00a0−1.22] points"),
    (formatting.points(-0.0117, digits=1), "−1.2 points"),
    (formatting.setting(4.0), "4"),
    (formatting.setting("cosine"), "cosine"),
    (formatting.setting([64, 32]), "64-32"),
    (formatting.and_list(["a"]), "a"),
    (formatting.and_list(["a", "b", "c"]), "a, b and c"),
])  # fmt: skip
def test_what_the_text_is(text, expected):
    assert text == expected
