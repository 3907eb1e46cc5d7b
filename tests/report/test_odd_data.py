"""The real notebooks on data unlike those they were written for: two seeds, one epoch, and what the pages say."""

import json

import lxml.html
import numpy as np
import odd_datasets
import pytest
from run_report import run_report

from kdlib.evaluation import results
from kdlib.methods import METHODS

pytestmark = pytest.mark.slow

TWELVE, FEW_KEYS, ONE_DOMAIN = "20 features, 12 x 12", "NA", "1e5"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The text of each page with its alt texts, by dataset, and the folder of the report."""
    data, out = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("out")
    odd_datasets.write(data)
    done = run_report(f"--data={data}", f"--out={out}", "--seeds=2", "--epochs=1", "--hidden=8", "--jobs=2")
    assert done.returncode == 0, done.stderr
    trees = {name: lxml.html.parse(out / name / "report.html").getroot() for name in (TWELVE, FEW_KEYS, ONE_DOMAIN)}
    trees["summary"] = lxml.html.parse(out / "index.html").getroot()
    return {name: tree.text_content() + "\n".join(tree.xpath("//img/@alt")) for name, tree in trees.items()}, out


def test_names_that_look_like_other_values_stay_names(pages):
    texts, out = pages
    frame = results.read(out / "results.csv")
    assert set(frame.dataset) == {TWELVE, FEW_KEYS, ONE_DOMAIN}
    assert all(name in texts["summary"] for name in (TWELVE, FEW_KEYS, ONE_DOMAIN))


def test_many_features_classes_and_domains(pages):
    texts, out = pages
    assert "first two principal components of the 20 standardised features" in texts[TWELVE]
    assert "432 training points in 12 domains and 12 classes" in texts[TWELVE]
    assert "Teacher of domain 11" in texts[TWELVE] and "class 11" in texts[TWELVE]
    with np.load(out / TWELVE / "boundaries.npz") as maps:
        assert maps["ffnn/mean"].shape[0] == 12 and maps["plane"] == 1


def test_five_keys_one_feature_of_half_precision_and_a_domain_without_a_class(pages):
    texts, out = pages
    frame = results.read(out / FEW_KEYS / "results.csv")
    assert set(frame.split) == {"valid"} and set(frame.domain) == {"all"}
    assert "kd_gated" in set(frame.method) and "teachers" not in set(frame.method)
    assert "the valid split does not tell the domain" in texts[FEW_KEYS]
    assert "part of train" in texts[FEW_KEYS]


def test_of_one_domain_methods_that_need_several_are_left_out(pages):
    texts, out = pages
    ran = set(results.read(out / ONE_DOMAIN / "results.csv").method)
    assert {"ffnn", "ffnn_tuned", "teachers", "kd_routed", "kd_kernel_teachers", "kd_portfolio"} <= ran
    assert not any(METHODS[name].needs_multiple_domains for name in ran)
    assert "there is one domain" in texts[ONE_DOMAIN]
    sections = texts[ONE_DOMAIN].partition("Methods left out")[0]
    assert not any(word in sections for word in ("the original", "two heads", "two-headed", "gate", "The teachers"))


def test_what_external_teachers_say_is_taught_and_shown(pages):
    texts, out = pages
    ran = {name: set(results.read(out / name / "results.csv").method) for name in (FEW_KEYS, ONE_DOMAIN, TWELVE)}
    names = {name for name, method in METHODS.items() if method.needs_answers}
    assert names <= ran[FEW_KEYS] and not names & ran[TWELVE]
    assert names & ran[ONE_DOMAIN] == {"kd_external_mean", "kd_external_weighted"}
    for name in names:
        assert METHODS[name].title in texts[FEW_KEYS] and METHODS[name].title in texts["summary"]
    for name in (FEW_KEYS, ONE_DOMAIN):
        assert "Accuracy of the external teachers" in texts[name]
    assert not any(METHODS[name].title in texts[TWELVE] for name in names)


def test_other_data_have_no_original(pages):
    _, out = pages
    for name in (TWELVE, FEW_KEYS, ONE_DOMAIN):
        ran = set(results.read(out / name / "results.csv").method)
        assert not any(METHODS[method].needs_original for method in ran)
        assert not (out / name / "ablation.csv").exists()


def test_without_a_known_distribution_there_is_no_ceiling_but_an_interval_for_the_sample(pages):
    texts, out = pages
    for name, points in ((TWELVE, 432), (FEW_KEYS, 120), (ONE_DOMAIN, 120)):
        assert "the data-generating distribution is not known" in texts[name]
        assert f"on {points} points has a 95\u202f% sampling interval" in texts[name]
        ran = set(results.read(out / name / "results.csv").method)
        assert not any(METHODS[method].needs_known_distribution for method in ran)
        assert json.loads((out / name / "manifest.json").read_text())["status"] == "ok"
