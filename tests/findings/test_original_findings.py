"""What is said of the original follows the numbers of its ablation."""

import pandas as pd
from made_up import SEEDS, noise

from kdlib.findings import original as original_findings


def ablation(original=0.84, mixed=0.0, selected=0.0, few=0.1):
    """As in ablation.csv: steps that gain `few` and 0.01; explanations that gain `mixed` and `selected` alone."""
    values = [("step", "as in the original", original), ("step", "more updates", original + few)]
    values += [("step", "soft term times T²", original + few + 0.01)]
    gains = {"as in the original": 0, "domains mixed": mixed, "best epoch selected": selected, "both": mixed + selected}
    values += [("explanation", label, original + gain) for label, gain in gains.items()]
    rows = [[kind, label, s, v + e] for kind, label, v in values for s, e in enumerate(noise(kind + label))]
    return pd.DataFrame(rows, columns=["kind", "label", "seed", "accuracy"])


def test_an_explanation_is_supported_only_if_fixing_it_alone_gains():
    everything, _, order, selection, both = original_findings.explanations(ablation(mixed=0.08)).split("\n")
    assert f"original's student by +11.0 points, over {SEEDS} seeds. The" in everything
    assert "order" in order and "**supported**, +8.0" in order
    assert "selection" in selection and "**not supported**" in selection
    assert "**supported**" in both
    *_, order, selection, _ = original_findings.explanations(ablation(mixed=-0.05, selected=0.02)).split("\n")
    assert "**not supported**, −5.0" in order
    assert "**supported in part**, +2.0" in selection
    *_, selection, _ = original_findings.explanations(ablation(selected=0.01)).split("\n")
    assert "**not supported**, +1.0" in selection and "] points, 9% of the total, from" in selection


def test_the_largest_step_is_named():
    assert "*more updates*: +10.0 points" in original_findings.largest_step(ablation())
    assert "*soft term times T²*: +1.0 points" in original_findings.largest_step(ablation(few=0.0))


def test_a_mean_over_datasets_is_called_one():
    one, two = ablation(), pd.concat([ablation().assign(dataset=name) for name in "ab"])
    for sentence in (original_findings.explanations, original_findings.largest_step):
        assert "datasets" not in sentence(one) and "(mean of 2 datasets)" in sentence(two)
    steps = original_findings.ablation_steps(two)
    assert steps[["dataset", "seeds"]].drop_duplicates().to_numpy().tolist() == [["a", 12], ["b", 12]]


def test_one_seed_has_no_interval():
    text = original_findings.explanations(ablation(mixed=0.08).query("seed == 0"))
    assert "nan" not in text and "[" not in text
