"""The command line: one clear line for every mistake, before any work."""

import subprocess
import sys

import pytest
from tiny_notebooks import dataset, notebook, templates

from kdlib.report.__main__ import main


def call(capsys, *arguments):
    """Exit status, standard output, standard error."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as exit:
        status = exit.code
    printed = capsys.readouterr()
    return status, printed.out, printed.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--seeds=0"], "seeds: expected a whole number of at least 1, got 0"),
        (["--seeds=abc"], "seeds: expected a whole number of at least 1, got 'abc'"),
        (["--seeds="], "seeds: expected a whole number of at least 1, got ''"),
        (["--epochs=1.5"], "epochs: expected a whole number of at least 1, got 1.5"),
        (["--hidden=wide"], "hidden: expected a list of layer widths such as [64, 32], got 'wide'"),
        (["--hidden=64,0"], "hidden: expected a whole number of at least 1, got 0"),
        (["--alpha=2"], "alpha: expected a number of at least 0 and at most 1, got 2"),
        (["--jobs=0"], "jobs: expected a whole number of at least 1, got 0"),
        (["--timeout=soon"], "timeout: expected a number of at least 1 and at most 1000000000, got 'soon'"),
        (["--sedes=3"], "unrecognized arguments: --sedes=3"),
        (["--data=nowhere"], "data: expected a folder of *.pkl files, got 'nowhere': No such file or directory"),
        (["--data=file"], "data: expected a folder of *.pkl files, got 'file': Not a directory"),
        (["--data=empty"], "data: expected *.pkl files in 'empty', found none; data/README.md says how to write one"),
        (["--out=file"], "out: cannot write to 'file': File exists"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(capsys, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    templates(tmp_path / "notebooks")
    dataset(tmp_path / "data" / "a.pkl")
    assert call(capsys, "run", "--notebooks=notebooks", *arguments) == (2, "", f"error: {line}\n")
    assert not (tmp_path / "reports").exists()


def test_templates_must_declare_their_parameters(capsys, tmp_path):
    templates(tmp_path / "notebooks")
    dataset(tmp_path / "data" / "a.pkl")
    run = ["run", f"--data={tmp_path}/data", f"--out={tmp_path}/out", f"--notebooks={tmp_path}/notebooks"]
    (tmp_path / "notebooks" / "experiment.ipynb").write_bytes(
        notebook(parameters="dataset = output = draft = seeds = 1")
    )
    line = "experiment.ipynb: its cell tagged `parameters` does not set alpha, batch_size"
    assert call(capsys, *run)[2].startswith(f"error: {line}, epochs")
    (tmp_path / "notebooks" / "summary.ipynb").unlink()
    templates(tmp_path / "notebooks")
    (tmp_path / "notebooks" / "experiment.ipynb").write_text("{}")
    assert call(capsys, *run)[2].startswith("error: experiment.ipynb: not a notebook with a parameters cell")


def test_check_prints_what_a_dataset_holds_or_why_it_is_refused(capsys, tmp_path):
    good, bad = tmp_path / "good.pkl", tmp_path / "bad.pkl"
    dataset(good)
    bad.write_bytes(b"not a pickle")
    status, out, err = call(capsys, "check", good)
    assert (status, out, err) == (0, f"{good}: 24 train, 12 valid; 2 features, 2 classes, 2 domains\n", "")
    status, out, err = call(capsys, "check", good, bad, tmp_path / "none.pkl")
    assert status == 1 and out.count("\n") == 1 and err.count("\n") == 2
    assert err.startswith("error: bad.pkl: ")


def test_check_imports_nothing_heavy(tmp_path):
    dataset(tmp_path / "a.pkl")
    program = "import sys; from kdlib.report.__main__ import main; s = main(['check', sys.argv[1]]); " \
        "assert not {'tensorflow', 'papermill', 'distributed'} & sys.modules.keys(); sys.exit(s)"  # fmt: skip
    subprocess.run([sys.executable, "-c", program, tmp_path / "a.pkl"], check=True, capture_output=True)


@pytest.mark.slow
def test_reading_notebooks_compiles_no_grammar_of_web_addresses():
    program = "import sys; from kdlib.report.pages import render; " \
        "from kdlib.report.execution import jupyter_kernel; sys.exit('lark' in sys.modules)"  # fmt: skip
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_help_names_every_setting(capsys):
    status, out, _ = call(capsys, "run", "--help")
    assert status == 0
    for option in ("--seeds", "--batch-size", "--learning-rate", "--draft", "--scheduler", "--timeout", "--study"):
        assert option in out
    assert "networks per method" in out
    assert "check" in call(capsys, "--help")[1]


def test_a_missing_scheduler_is_one_line(capsys, tmp_path):
    templates(tmp_path / "notebooks")
    dataset(tmp_path / "data" / "a.pkl")
    run = ["run", f"--data={tmp_path}/data", f"--out={tmp_path}/out", f"--notebooks={tmp_path}/notebooks"]
    status, _, err = call(capsys, *run, "--scheduler=nowhere")
    expected = "error: scheduler: expected the address of a running one, as tcp://host:port"
    assert status == 2 and err.startswith(f"{expected}, or the file that") and err.endswith(", got 'nowhere'\n")
    status, _, err = call(capsys, *run, "--scheduler=http://nowhere")
    assert (status, err) == (2, f"{expected}, got 'http://nowhere': neither tcp:// nor tls://\n")
