"""One notebook, executed and verified to have completed: every way in which a run is not good, with real kernels."""

import importlib
import json
import os
import re
import sys
from pathlib import Path

import psutil
import pytest
from cluster import kernels_of
from tiny_notebooks import CHECKSUMS, WRITE, notebook

from kdlib.evaluation import results
from kdlib.report import manifest
from kdlib.report.execution import checksums
from kdlib.report.execution.run_notebook import Job, execute

pytestmark = pytest.mark.slow

LINK = "(pathlib.Path(output) / 'link').symlink_to('/etc')"


def run(template, name="a.pkl", **settings):
    job = Job("a", template, {"dataset": f"inputs/{name}", "seeds": 2}, {name: b"data"}, **settings)
    return execute(job)


def test_a_good_run_returns_its_results_and_no_folder_of_this_machine():
    events = []
    name = 'it\'s "odd" {0}\n.pkl'
    template = notebook(WRITE, "import os, warnings\nprint(os.getcwd()); warnings.warn('old')", "")
    job = Job("a", template, {"dataset": f"inputs/{name}", "seeds": 2}, {name: b"data"})
    outcome = execute(job, events.append)
    assert (outcome.status, outcome.reason) == ("ok", "")
    assert outcome.files == {"results.csv": b"bytes,seeds\n4,2\n"}
    assert [cell["heading"] for cell in outcome.cells] == ["A title"] * 3 + ["Work"] * 4
    assert [event["cell"] for event in events] == list(range(1, 8))
    assert {event["cells"] for event in events} == {7}
    assert "/kd-" not in outcome.notebook.decode() and "ipykernel_" not in outcome.notebook.decode()
    assert outcome.environment["versions"]["papermill"]


def test_jupyterlab_starts_the_same_kernels():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")
    module, name = re.search(r"jupyter lab .*kernel_spec_manager_class=(\S+)\.(\w+)", makefile).groups()
    specs = getattr(importlib.import_module(module), name)().get_all_specs()
    assert {each["spec"]["argv"][0] for each in specs.values()} == {sys.executable}
    assert all("--IPKernelApp.capture_fd_output=False" in each["spec"]["argv"] for each in specs.values())


def test_a_training_reports_its_progress_and_leaves_no_trace_in_the_notebook():
    setup = "import time\nfrom kdlib import display\nreport = display.progress(output)"
    loop = "for epoch in range(1, 101):\n    report('ffnn', epoch, 100)\n    time.sleep(0.01)"
    events = []
    outcome = execute(
        Job("a", notebook(WRITE, f"{setup}\n{loop}"), {"dataset": "inputs/a"}, {"a": b"data"}), events.append
    )
    trained = [event for event in events if "task" in event]
    assert trained[-1] == {"name": "a", "task": "ffnn", "epoch": 100, "epochs": 100}
    assert 1 < len(trained) < 100, "more than once, but not every epoch"
    assert events.index(trained[-1]) > [event.get("cell") for event in events].index(6)
    assert outcome.status == "ok" and not json.loads(outcome.notebook)["cells"][5]["outputs"]


def test_what_a_c_library_prints_is_not_in_the_notebook():
    outcome = run(notebook(WRITE, "import os\n_ = os.write(2, b'I0000 00:00:1795500254.013072 11294 port.cc: on\\n')"))
    assert outcome.status == "ok" and not json.loads(outcome.notebook)["cells"][5]["outputs"]


def test_equal_runs_give_equal_bytes():
    first, second = run(notebook(WRITE)), run(notebook(WRITE))
    assert first.notebook == second.notebook and first.files == second.files


@pytest.mark.parametrize(
    ("cell", "status", "reason"),
    [
        ("1 / 0", "failed", "cell 6 (Work): ZeroDivisionError: division by zero"),
        ("raise ValueError('two\\nlines \\x1b[31mred')", "failed", "cell 6 (Work): ValueError: two lines red"),
        ("import sys; sys.exit(0)", "failed", "cell 6 (Work): SystemExit: 0"),
        ("import os; os.kill(os.getpid(), 9)", "died", "cell 6 (Work): the kernel died (signal 9)"),
        ("import os; os._exit(0)", "died", "cell 6 (Work): the kernel died (exit status 0)"),
        (LINK, "failed", "results: 'link' is not a regular file"),
    ],
)  # fmt: skip
def test_a_cell_that_fails(cell, status, reason):
    outcome = run(notebook(WRITE, cell, checksums=CHECKSUMS.replace("folder.iterdir()", "[folder / 'results.csv']")))
    assert (outcome.status, outcome.reason) == (status, reason)
    assert outcome.files == {}
    executed = json.loads(outcome.notebook)["cells"]
    assert executed[4]["execution_count"] == 3 and "papermill" not in executed[4]["metadata"]


def test_a_timeout_ends_a_kernel_that_ignores_signals():
    deaf = "import signal\nfor s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\nwhile True: pass"
    outcome = run(notebook(deaf), timeout=3)
    assert (outcome.status, outcome.reason) == ("timeout", "cell 5 (Work): not done after 3 seconds")
    assert kernels_of(psutil.Process()) == []


def test_a_notebook_without_checksums():
    outcome = run(notebook(WRITE, checksums=""))
    reason = "results: expected checksums.json from the notebook's last cell, got none"
    assert (outcome.status, outcome.reason) == ("failed", reason)


@pytest.mark.parametrize(
    ("listed", "present", "reason"),
    [
        ({"a": b"1"}, {"a": b"2"}, "'a' differs from its checksum"),
        ({"a": b"1"}, {"a": b"1", "b/c": b"2"}, "'b/c' is not listed in checksums.json"),
        ({"a": b"1", "b": b"2"}, {"a": b"1"}, "'b' is listed in checksums.json but is not there"),
        (None, {"a": b"1"}, "checksums.json cannot be read"),
    ],
)
def test_files_that_do_not_match_their_checksums(tmp_path, listed, present, reason):
    (tmp_path / "b").mkdir()
    for name, content in present.items():
        (tmp_path / name).write_bytes(content)
    digests = None if listed is None else {name: manifest.digest(content) for name, content in listed.items()}
    (tmp_path / "checksums.json").write_text(json.dumps({"files": digests}))
    with pytest.raises(checksums.ChecksumError, match=f"^{reason}$"):
        checksums.read_checked(tmp_path)


def test_written_checksums_are_accepted(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    results.write_checksums(tmp_path)
    assert checksums.read_checked(tmp_path) == {"a": b"1"}


def test_a_skipped_cell_is_not_a_good_run():
    template = json.loads(notebook(WRITE, "late = 1"))
    template["cells"][4]["metadata"]["tags"] = ["skip-execution"]
    assert run(json.dumps(template).encode()).reason == "cell 6 (Work): never executed"


def test_the_kernel_is_this_interpreter_with_one_thread_and_no_personal_files(tmp_path, monkeypatch):
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "mine.py").write_text("raise SystemExit('personal')")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    shown = "sys.executable, os.environ['OMP_NUM_THREADS'], os.environ['KDLIB_CORES']"
    outcome = run(notebook(WRITE, f"import os, sys\nprint({shown})"))
    assert outcome.status == "ok"
    printed = json.loads(outcome.notebook)["cells"][5]["outputs"]
    assert "".join(printed[0]["text"]).split() == [sys.executable, "1", "1"]


def test_no_temporary_file_remains(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run(notebook(WRITE, "import os; os.kill(os.getpid(), 9)"))
    assert os.listdir(tmp_path) == []


def test_a_job_that_cannot_begin():
    assert run(b"nonsense").reason.startswith("the notebook cannot be read: ")
    for file in ("kdlib/settings.py", "kdlib/gone.py"):
        outcome = run(notebook(WRITE), code=manifest.code_digests(["kdlib/display.py"]) | {file: "another digest"})
        assert outcome.reason.startswith(f"{file} is not what the run was planned with: edited meanwhile, or another")
