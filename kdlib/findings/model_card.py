"""The model card of a dataset's student: what it is, what it was made from, how good it is, its limits, and its use.

In the sense of Mitchell et al., Model cards for model reporting, 2019; every number is computed. Out of scope: whom the
model is for, which a report on methods does not know.
"""

from collections.abc import Callable
from functools import partial

import pandas as pd

from kdlib.data import Dataset
from kdlib.evaluation.comparison import sampling_interval
from kdlib.evaluation.formatting import counted, decimal, percent, setting, value_range, whole
from kdlib.evaluation.results import reported, select
from kdlib.findings.dataset import digits
from kdlib.models.networks import Networks

MAX_LISTED = 8  #: classes by name, features with their ranges
USE = '''
With Keras 3, or with NumPy alone, from `x` (n, features) in the features' own units to `p` (n, classes):

```python
import keras

model = keras.models.load_model("student.keras")
p = model.predict(x)
```

```python
import json
import numpy as np

student = np.load("student.npz")
about = json.loads(str(student["about"]))


def probabilities(x, method=about["method"], seed=about["seed"]):
    """P(class | x) (n, classes) of points (n, features), from the network of a method and a seed."""
    z = (x - student["mean"]) / student["deviation"]
    for i in range(about["layers"][method]):
        z = np.maximum(z, 0) if i else z
        z = z @ student[f"{method}/kernel_{i}"][seed] + student[f"{method}/bias_{i}"][seed]
    if about["activations"][method] == "sigmoid":
        z = -np.logaddexp(0, -z)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)
```
'''


def model_card(networks: Networks, results: pd.DataFrame, dataset: Dataset, split_sizes: dict[str, int]) -> str:
    """The card in Markdown. results: tidy, of all methods; split_sizes: points of the splits that they score on."""
    about = networks.about
    method, seed, split = about["method"], about["seed"], reported(results)
    points, (train, select_points, _) = split_sizes[split], dataset.roles()
    mine = results[(results["method"] == method) & (results["split"] == split)]
    one = mine[mine["seed"] == seed].set_index(["domain", "metric"])["value"]
    accuracy = one["all", "accuracy"]
    low, high = sampling_interval(accuracy, points)
    seeds, shown = select(mine)["value"], partial(percent, digits=digits(results))
    domains = [domain for domain, metric in one.index if metric == "accuracy" and domain != "all"]
    lines = [
        f"- **Network**: *{about['titles'][method]}*, seed {seed}: {counted(dataset.features, 'feature')}, hidden "
        f"layers of {setting(about['settings']['hidden'])} units, {counted(dataset.classes, 'class', 'classes')}"
        f"{_classes(about['classes'])}. Its method has the lowest mean cross-entropy of "
        f"{counted(len(networks.methods), 'method')} on the {whole(len(select_points))} selection points, and this "
        f"network has the lowest of {counted(len(seeds), 'seed')}.",
        f"- **Data**: `{dataset.name}.pkl`, SHA-256 `{dataset.sha256}`; {whole(len(train))} training points of "
        f"{counted(dataset.domains, 'domain')}.",
        f"- **Accuracy**: {shown(accuracy)} on the {whole(points)} {split} points, with a 95% sampling interval from "
        f"{shown(low)} to {shown(high)} (Wilson); over the method's seeds, {value_range(seeds, shown)}. Expected "
        f"calibration error: {decimal(one['all', 'ece'], 3)}.",
        f"- **Limits**: it is not given the domain. {_weakest(one, domains, about['domains'], shown)}"
        f"{_ranges(about['features'], dataset)}",
    ]
    files = (
        "[student.keras](student.keras) is one network, [student.npz](student.npz) has every seed of every method that "
        "the summary compares, and [student.md](student.md) is this description."
    )
    return "\n".join([files, "", *lines, USE])


def _classes(names: list[str]) -> str:
    return "" if len(names) > MAX_LISTED else f" ({', '.join(f'`{name}`' for name in names)})"


def _weakest(one: pd.Series, domains: list[str], names: list[str], shown: Callable) -> str:
    if len(domains) < 2:
        return ""
    worst = min(domains, key=lambda k: one[k, "accuracy"])
    accuracy = shown(one[worst, "accuracy"])
    return f"It is weakest in domain `{names[int(worst)]}`, with an accuracy of {accuracy}. "


def _ranges(names: list[str], dataset: Dataset) -> str:
    text = "It extrapolates beyond the training points"
    if dataset.features > MAX_LISTED:
        return f"{text}."
    ranges = zip(names, dataset.train.x.min(axis=0), dataset.train.x.max(axis=0), strict=True)
    each = ", ".join(f"`{name}` from {low:.5g} to {high:.5g}" for name, low, high in ranges)
    return f"{text}, which have {each}.".replace(" -", " −")
