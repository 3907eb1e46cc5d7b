"""Runs with and without caches give the same bits, whatever state the cache is in; with real kernels."""

import json
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import html
from tiny_notebooks import dataset, notebook

from kdlib.report.execution import temp_folder
from kdlib.report.execution.run_notebook import Job, Outcome, execute

pytestmark = pytest.mark.slow

TRAIN = """import os
from kdlib import display
from kdlib.data import load
from kdlib.settings import Settings
from kdlib.studies.experiment import Experiment
settings = Settings(seeds=2, epochs=2, hidden=(4,), batch_size=8)
experiment = Experiment(load(dataset), settings, display.progress(output))
_ = experiment.run_all("ffnn", "kd_kernel_teachers")
if seeds == 13:
    os.kill(os.getpid(), 9)
_ = experiment.run_all("ffnn_smoothed")
_ = experiment.write(output)"""
LINKS = {"up": "../index.html", "reports": [], "command": "python -m kdlib.report run"}
FIRST, LAST = ["ffnn", "kd_kernel_teachers"], ["ffnn_smoothed"]


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    path = tmp_path_factory.mktemp("data") / "a.pkl"
    dataset(path)
    template = notebook(TRAIN, checksums="")
    record = {"name": "a", "parameters": {"draft": False}, "hashes": {}}
    return Job("a", template, {"dataset": "inputs/a.pkl"}, {"a.pkl": path.read_bytes()}, record=record, links=LINKS)


def run(job: Job, folder, **changes) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDLIB_CACHE", str(folder))
        return execute(replace(job, **changes))


@pytest.fixture(scope="module")
def computed(job, tmp_path_factory) -> Outcome:
    """A run that reuses nothing and keeps nothing."""
    folder = tmp_path_factory.mktemp("unused") / "cache"
    outcome = run(job, folder, reuse=False)
    assert not folder.exists()
    return outcome


@pytest.fixture(scope="module")
def first(job, tmp_path_factory):
    """The first run with a cache, and its folder."""
    folder = tmp_path_factory.mktemp("first") / "cache"
    return run(job, folder), folder


@pytest.fixture
def cache(first, tmp_path):
    """A copy of the folder that the first run filled."""
    return shutil.copytree(first[1], tmp_path / "cache")


def trained(outcome: Outcome) -> list[str]:
    return list(outcome.trainings["trained"])


def warnings(outcome: Outcome) -> str:
    cells = json.loads(outcome.notebook)["cells"]
    return "".join(text for cell in cells for output in cell.get("outputs", []) for text in output.get("text", ""))


def test_without_a_cache_everything_is_trained(computed):
    assert (computed.status, warnings(computed)) == ("ok", "")
    assert computed.trainings == {"trained": dict.fromkeys(FIRST + LAST, 1), "reused": {}}


def test_the_first_run_keeps_what_it_computes_and_the_next_gives_the_same_bits(job, computed, first, cache):
    outcome, _ = first
    again = run(job, cache, notebook=notebook(f"# A changed word\n{TRAIN}", checksums=""))
    assert outcome.files == again.files == computed.files
    assert trained(outcome) == FIRST + LAST
    assert trained(again) == []
    assert again.trainings["reused"].keys() == {*FIRST, *LAST, "answers of teachers"}
    assert warnings(outcome) == warnings(again) == ""


def test_the_page_says_what_was_trained_and_what_was_reused(job, first, cache):
    expected = {"Networks trained": FIRST + LAST, "Reused": None}, {"Networks trained": None, "Reused": FIRST + LAST}
    for outcome, terms in zip((first[0], run(job, cache)), expected, strict=True):
        found = {
            term.text_content(): term.getnext().text_content() for term in html.fromstring(outcome.page).iter("dt")
        }
        for term, names in terms.items():
            assert (term in found) == (names is not None)
            assert all(name in found[term] for name in names or [])


def test_compiled_programs_are_reused_and_give_the_same_bits(job, computed, cache):
    programs = {path.name: path.read_bytes() for path in cache.glob("program-*")}
    assert programs
    for path in set(cache.iterdir()) - set(cache.glob("program-*")):
        path.unlink()
    outcome = run(job, cache)
    assert outcome.files == computed.files
    assert trained(outcome) == FIRST + LAST
    assert {path.name: path.read_bytes() for path in cache.glob("program-*")} == programs


def test_notebooks_of_a_report_find_what_another_has_compiled(job, computed, tmp_path, monkeypatch):
    with temp_folder.private_folder() as common:
        monkeypatch.setattr(tempfile, "tempdir", common)
        outcomes, programs = [], []
        for number in range(2):  # each with an empty cache
            outcomes.append(run(job, tmp_path / f"cache {number}"))
            programs.append({path.name: path.stat().st_mtime_ns for path in Path(common, "programs").glob("*.pb")})
    assert [outcome.files for outcome in outcomes] == [computed.files] * 2
    assert all(trained(outcome) == FIRST + LAST for outcome in outcomes)
    assert programs[0] and programs[0] == programs[1]
    assert len([*(tmp_path / "cache 1").glob("program-*")]) == len(programs[1])


def test_programs_of_another_folder_or_environment_are_not_used(job, computed, cache, tmp_path, monkeypatch):
    """Garbage under the names that TensorFlow looks for would end the run."""
    from kdlib.training.cache import Cache

    names = [Cache(cache).get(path.name)["name"] for path in cache.glob("program-*")]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in names:
        (foreign / name).write_bytes(b"garbage")
    shutil.rmtree(cache)
    other = "program-" + "0" * 32 + "-"
    for number, name in enumerate(names):
        Cache(cache).put(f"{other}{number}", {"name": name, "content": b"garbage".hex()})
    flags = f"--tf_xla_persistent_cache_directory={foreign} --tf_xla_persistent_cache_device_types=CPU"
    monkeypatch.setenv("TF_XLA_FLAGS", flags)
    for reuse in (True, False):
        outcome = run(job, cache, reuse=reuse)
        assert (outcome.status, outcome.files) == ("ok", computed.files)
    assert {path.read_bytes() for path in foreign.iterdir()} == {b"garbage"}


@pytest.mark.parametrize("kind", ["poisoned", "truncated"])
def test_a_damaged_cache_costs_one_line(job, computed, cache, capfd, kind):
    for path in cache.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[:-9] if kind == "truncated" else content[:99] + b"poison" + content[105:])
    outcome = run(job, cache)
    assert outcome.files == computed.files
    assert trained(outcome) == FIRST + LAST
    assert warnings(outcome).count("\n") == 1 and "damaged" in warnings(outcome)
    assert trained(run(job, cache)) == []


def test_a_folder_that_others_can_write_to_costs_one_line(job, computed, cache):
    cache.chmod(0o777)
    outcome = run(job, cache)
    assert outcome.files == computed.files
    assert trained(outcome) == FIRST + LAST
    assert warnings(outcome).count("\n") == 1 and "others" in warnings(outcome)


def test_a_killed_run_goes_on_where_it_was(job, computed, tmp_path):
    folder = tmp_path / "cache"
    killed = run(job, folder, parameters=job.parameters | {"seeds": 13})
    assert (killed.status, trained(killed)) == ("died", FIRST)
    assert not re.search("cpu_aot_loader|prefer-no-gather", killed.reason)
    outcome = run(job, folder)
    assert outcome.files == computed.files
    assert trained(outcome) == LAST
