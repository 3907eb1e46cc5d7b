"""The press's command line: `run` a report or `sweep`, `check` or `convert` a dataset, `keep` or `verify` a report."""

import argparse
import ast
import inspect
import os
import re
import signal
import sys
from dataclasses import fields
from pathlib import Path

from kdlib.evaluation.formatting import counted
from kdlib.settings import Settings, SettingsError

FAILED, USAGE = 1, 2


class Parser(argparse.ArgumentParser):
    """Answers a mistake with one line."""

    def error(self, message):
        raise SystemExit(_error(message))


class Interrupted(BaseException):
    """A signal asked to stop."""


def main(arguments=None) -> int:
    given = _parser().parse_args(arguments)
    return given.act(given)


def run(given) -> int:
    def report(study, display):
        from kdlib.report import pipeline

        templates = tuple(sorted((given.notebooks / "study").glob("*.ipynb"))) if given.study else ()
        return pipeline.report(_request(given, study=Settings.named(**study), templates=templates), display)

    return _made(given, report)


def sweep(given) -> int:
    def swept(study, display):
        from kdlib.report import grid, sweep

        Settings.named(**study)  # what is wrong on the command line is said of it, not of the file
        return sweep.sweep(_request(given), grid.read(given.file, study), display)

    return _made(given, swept)


def _made(given, make) -> int:
    """Makes pages of settings given and a display; says what went wrong, and where the pages are."""
    from kdlib.report import plan, progress, publish

    named = {field.name: getattr(given, field.name) for field in fields(Settings)}
    study = {name: value for name, value in named.items() if value is not None}
    try:
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            problems = make(study, progress.display)
        finally:
            signal.signal(signal.SIGTERM, before)
    except (SettingsError, plan.RequestError, publish.PublishError) as error:
        return _error(progress.shown(str(error)))
    except KeyboardInterrupt:
        return _error("interrupted; what was published before is still whole", 130)
    except Interrupted:
        return _error("terminated; what was published before is still whole", 143)
    for name, reason in problems.items():
        print(progress.shown(f"{name}: {reason}"), file=sys.stderr)
    if (given.out / "index.html").is_file():
        print(given.out / "index.html")
    return FAILED if problems else 0


def _request(given, **more):
    from kdlib.report import navigation, plan

    return plan.Request(
        data=given.data,
        out=given.out,
        notebooks=given.notebooks,
        draft=given.draft,
        jobs=_at_least("jobs", given.jobs, int, "a whole number of at least 1") or os.cpu_count() or 1,
        scheduler=given.scheduler,
        dashboard=given.dashboard,
        timeout=_at_least("timeout", given.timeout, int | float, "a number of seconds of at least 1"),
        force=given.force,
        command=navigation.command(given),
        **more,
    )


def check(given) -> int:
    from kdlib.data import DataContractError, UnsafePickleError, load
    from kdlib.report.progress import shown

    status = 0
    for path in given.files:
        try:
            print(shown(_described(path, load(path))))
        except (DataContractError, UnsafePickleError) as error:
            status = _error(" ".join(str(error).split()), FAILED)
        except OSError as error:
            status = _error(f"{path}: {error.strerror}", FAILED)
    return status


def convert(given) -> int:
    from kdlib.data import DataContractError, csv_import, load, save
    from kdlib.report.progress import shown

    if given.dataset.suffix != ".pkl":
        return _error(
            f"dataset: expected a name that ends in .pkl, which a report looks for, got {str(given.dataset)!r}"
        )
    try:
        arrays, meanings = csv_import.arrays(csv_import.read(given.table), given.label, given.domain, given.split)
        save(given.dataset, arrays)
    except DataContractError as error:
        text = " ".join(str(error).split())
        return _error(text if text.startswith(given.table.name) else f"{given.table.name}: {text}", FAILED)
    except OSError as error:
        return _error(f"{error.filename}: {error.strerror}", FAILED)
    for column, names in meanings.items():
        print(shown(f"{column}: {', '.join(f'{i} is {name}' for i, name in enumerate(names))}"))
    print(shown(_described(given.dataset, load(given.dataset))))
    return 0


def keep(given) -> int:
    return _with_reference(lambda reference: print(reference.keep(given.out, given.reference)) or 0)


def verify(given) -> int:
    def compared(reference) -> int:
        agrees, lines = reference.compare(given.out, given.reference)
        print(*lines, sep="\n")
        print(f"{given.out} {'agrees' if agrees else 'does not agree'} with {given.reference}")
        return 0 if agrees else FAILED

    return _with_reference(compared)


def _with_reference(act) -> int:
    from kdlib.report import reference

    try:
        return act(reference)
    except reference.NoReference as error:
        return _error(error)


def _described(path, data) -> str:
    splits = {"train": data.train, "valid": data.valid, "test": data.test}
    counts = ", ".join(f"{len(split)} {name}" for name, split in splits.items() if split is not None)
    kinds = [
        counted(data.features, "feature"),
        counted(data.classes, "class", "classes"),
        counted(data.domains, "domain"),
    ]
    return f"{path}: {counts}; {', '.join(kinds)}"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m kdlib.report", description="A report on knowledge distillation, from notebooks.")
    actions = parser.add_subparsers(
        required=True, metavar="run | sweep | check | convert | keep | verify", parser_class=Parser
    )

    runner = actions.add_parser("run", help="bring the report up to date")
    runner.set_defaults(act=run)
    _add_options(runner, out="reports")
    runner.add_argument("--study", action="store_true", help="run the slow studies, notebooks/study/*.ipynb, too")

    sweeper = actions.add_parser("sweep", help="run every combination of some settings, and compare them on one page")
    sweeper.set_defaults(act=sweep)
    sweeper.add_argument("file", type=Path, metavar="FILE", help="lists of settings, in YAML: as notebooks/sweep.yaml")
    _add_options(sweeper, out="reports/sweep")

    checker = actions.add_parser("check", help="say what a dataset holds, or why it is refused")
    checker.set_defaults(act=check)
    checker.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a pickle")

    converter = actions.add_parser("convert", help="turn a CSV file into a dataset")
    converter.set_defaults(act=convert)
    converter.add_argument("table", type=Path, metavar="CSV", help="a header, and a row per sample")
    converter.add_argument("dataset", type=Path, metavar="PICKLE", help="what to write, as data/mine.pkl")
    for role, what in (("label", "the class"), ("domain", "the domain"), ("split", "train, valid or test")):
        converter.add_argument(f"--{role}", default=role, metavar="COLUMN", help=f"the column of {what} ({role})")

    for act, said in (
        (keep, "make a report the reference that others are compared with"),
        (verify, "compare a report with the reference, metric by metric"),
    ):
        parser_of = actions.add_parser(act.__name__, help=said)
        parser_of.set_defaults(act=act)
        parser_of.add_argument("out", type=Path, metavar="REPORT", help="the folder of a report")
        parser_of.add_argument("reference", type=Path, metavar="REFERENCE", help="the folder of the reference")
    return parser


def _add_options(parser, out: str) -> None:
    """What a report and a sweep are made of, where, and with which settings."""
    here = Path(__file__).resolve().parents[2]
    add = parser.add_argument
    add("--data", type=Path, default=Path("data"), metavar="FOLDER", help="the datasets, *.pkl (data)")
    add("--out", type=Path, default=Path(out), metavar="FOLDER", help=f"where the pages go ({out})")
    add("--notebooks", type=Path, default=here / "notebooks", metavar="FOLDER", help="the templates")
    settings = parser.add_argument_group("settings of the study")
    helps = dict(re.findall(r"^    (\w+): .*?#: +(.*)$", inspect.getsource(Settings), re.M))
    for field in fields(Settings):
        default = ",".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        settings.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_tuple if isinstance(field.default, tuple) else _value,
            metavar="VALUE",
            help=f"{helps.get(field.name, '')} ({default})".replace("%", "%%"),
        )
    add("--draft", action="store_true", help="mark every page as a draft")
    add("--force", action="store_true", help="run everything, due or not")
    add("--jobs", type=_value, metavar="N", help="notebooks that run at once (as many as there are cores)")
    where = "a dask scheduler that runs them: tcp://host:port, or the file that holds it (this machine)"
    add("--scheduler", "--scheduler-file", metavar="ADDRESS", help=where)
    add("--dashboard", action="store_true", help="show Dask's dashboard, to this machine only")
    add("--timeout", type=_value, metavar="SECONDS", help="limit for each notebook (none)")


def _value(text: str):
    """A number where it is one; `Study` then judges it, with the same words as in a notebook."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _tuple(text: str):
    value = _value(text)
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


def _at_least(name, value, kind, what):
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool) or not 1 <= value < 1e9):
        raise SettingsError(f"{name}: expected {what}, got {value!r}")
    return value


def _interrupt(*_):
    raise Interrupted


def _error(message, status=USAGE) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
