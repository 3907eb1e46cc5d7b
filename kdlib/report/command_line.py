"""The command line's actions and options, with their help."""

import argparse
import ast
import inspect
import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path

from kdlib.settings import Settings

FAILED, USAGE = 1, 2  #: exit statuses: something went wrong; the command cannot be carried out


def print_error(message, status: int = USAGE) -> int:
    """Prints a line to standard error and returns the exit status."""
    print(f"error: {message}", file=sys.stderr)
    return status


class Parser(argparse.ArgumentParser):
    """Answers a mistake with one line, without the usage."""

    def error(self, message):
        raise SystemExit(print_error(message))


def parser() -> argparse.ArgumentParser:
    """The parser; what it parses has the action's name as `action`."""
    parser = Parser(prog="python -m kdlib.report", description="A report on knowledge distillation, from notebooks.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=Parser)

    run = actions.add_parser("run", help="bring the report up to date")
    _add_report_options(run, out="reports")
    run.add_argument("--study", action="store_true", help="run the slow studies, notebooks/study/*.ipynb, too")

    sweep = actions.add_parser("sweep", help="run every combination of some settings, and compare them on one page")
    sweep.add_argument("file", type=Path, metavar="FILE", help="lists of settings, in YAML: as notebooks/sweep.yaml")
    _add_report_options(sweep, out="reports/sweep")

    check = actions.add_parser("check", help="say what a dataset holds, or why it is refused")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a pickle")

    convert = actions.add_parser("convert", help="turn a CSV file into a dataset")
    convert.add_argument("table", type=Path, metavar="CSV", help="a header, and a row per sample")
    convert.add_argument("dataset", type=Path, metavar="PICKLE", help="what to write, as data/mine.pkl")
    for role, meaning in (("label", "the class"), ("domain", "the domain"), ("split", "train, valid, test or more")):
        convert.add_argument(f"--{role}", default=role, metavar="COLUMN", help=f"the column of {meaning} ({role})")
    of_teacher = "a teacher's answers, a column for each class in sorted order; again for the next teacher"
    convert.add_argument("--teacher", action="append", type=_columns, metavar="COLUMN,COLUMN,...", help=of_teacher)

    export = actions.add_parser("export", help="write one network of a run as a Keras model")
    export.add_argument("run", type=Path, metavar="RUN", help="the folder of a dataset in a report, as reports/mine")
    export.add_argument("--method", metavar="NAME", help="the network's method (the chosen one)")
    export.add_argument("--seed", type=_parse_value, metavar="I", help="its seed (the chosen one; of other methods 0)")
    export.add_argument("--out", type=Path, default=Path("model.keras"), metavar="FILE", help="(model.keras)")

    predict = actions.add_parser("predict", help="class and probabilities of the rows of a CSV file, as CSV")
    predict.add_argument("model", type=Path, metavar="MODEL", help="a .keras file that export wrote, or student.npz")
    predict.add_argument("table", type=Path, metavar="CSV", help="a header with the features, and a row per point")

    archive = actions.add_parser("archive", help="one zip of a report, with its data, networks, notebooks and code")
    archive.add_argument("out", type=Path, metavar="REPORT", help="the folder of a report that is up to date")
    archive.add_argument("--data", type=Path, default=Path("data"), metavar="FOLDER", help="its datasets (data)")
    archive.add_argument("--methods", type=Path, metavar="FILE", help="the methods of your own that it ran")
    author = "The kdlib developers"
    archive.add_argument("--author", default=author, metavar="NAME", help=f"whom to cite ({author})")

    for action, help in (
        ("keep", "make a report the reference that others are compared with"),
        ("verify", "compare a report with the reference, metric by metric"),
    ):
        compared = actions.add_parser(action, help=help)
        compared.add_argument("out", type=Path, metavar="REPORT", help="the folder of a report")
        what = "the folder of the reference" + (", or an archive" if action == "verify" else "")
        compared.add_argument("reference", type=Path, metavar="REFERENCE", help=what)

    bits = actions.add_parser("bits", help="compare what this machine computes with committed digests, layer by layer")
    default = Path(__file__).resolve().parents[2] / "reports" / "reference" / "bits.json"
    bits.add_argument("file", nargs="?", type=Path, default=default, metavar="FILE", help="digests (the reference's)")
    bits.add_argument("--keep", action="store_true", help="write this machine's digests into the file instead")
    return parser


def _add_report_options(parser, out: str) -> None:
    """What a report or a sweep is made of, where, and with which settings."""
    notebooks = Path(__file__).resolve().parents[2] / "notebooks"
    add = parser.add_argument
    add("--data", type=Path, default=Path("data"), metavar="FOLDER", help="the datasets, *.pkl (data)")
    add("--out", type=Path, default=Path(out), metavar="FOLDER", help=f"where the pages go ({out})")
    add("--notebooks", type=Path, default=notebooks, metavar="FOLDER", help="the templates")
    settings = parser.add_argument_group("settings")
    comments = dict(re.findall(r"^    (\w+): .*?#: +(.*)$", inspect.getsource(Settings), re.M))
    for field in fields(Settings):
        default = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        settings.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_parse_tuple if isinstance(field.default, tuple) else _parse_value,
            metavar="VALUE",
            help=f"{comments.get(field.name, '')} ({default})".replace("%", "%%"),
        )
    add(
        "--methods",
        type=Path,
        metavar="FILE",
        help="methods of your own, in Python, which runs: as notebooks/methods.py",
    )
    add("--draft", action="store_true", help="mark every page as a draft")
    add("--force", action="store_true", help="run everything, due or not, and reuse no training")
    what = "notebooks that run at once, with their helper processes (as many as there are cores)"
    add("--jobs", type=_parse_value, metavar="N", help=what)
    where = "a dask scheduler that runs them: tcp://host:port, or the file that holds it (this machine)"
    add("--scheduler", "--scheduler-file", metavar="ADDRESS", help=where)
    add("--dashboard", action="store_true", help="show Dask's dashboard, to this machine only")
    add("--timeout", type=_parse_value, metavar="SECONDS", help="limit for each notebook (none)")


def command(given) -> str:
    """The command that asks for the same on any machine: of files and folders it has the names only.

    given: what was parsed.
    """
    words = [given.action, *([given.file.name] if "file" in given else []), f"--data={given.data.resolve().name}"]
    words += options(given_settings(given))
    words += [f"--methods={given.methods.name}"] if given.methods else []
    words += [f"--{flag}" for flag in ("draft", "study") if getattr(given, flag, False)]
    return shlex.join(["python", "-m", "kdlib.report", *words])


def given_settings(given) -> dict:
    """The settings that the command line names, and their values."""
    settings = {field.name: getattr(given, field.name) for field in fields(Settings)}
    return {name: value for name, value in settings.items() if value is not None}


def options(settings: dict) -> list[str]:
    """Settings as options of the command line: `--batch-size=32`, `--hidden=64,32`."""
    texts = {
        name: ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        for name, value in settings.items()
    }
    return [f"--{name.replace('_', '-')}={text}" for name, text in texts.items()]


def _columns(text: str) -> list[str]:
    return text.split(",")


def _parse_value(text: str):
    """A number if it is one; `Settings` then checks it, with the same messages as in a notebook."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _parse_tuple(text: str):
    value = _parse_value(text)
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value
