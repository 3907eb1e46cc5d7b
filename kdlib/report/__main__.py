"""The command: `run` a report or `sweep`, `check` or `convert` a dataset, use a network of a run, compare reports."""

import os
import signal
import sys
from contextlib import nullcontext
from functools import partial

from kdlib.evaluation.formatting import counted
from kdlib.report import command_line
from kdlib.report.command_line import FAILED, USAGE, print_error
from kdlib.settings import Settings, SettingsError, check_number, check_whole


class Terminated(BaseException):
    """A signal asked the process to end."""


def main(arguments=None) -> int:
    """Carries out a command; returns the exit status."""
    given = command_line.parser().parse_args(arguments)
    return ACTIONS[given.action](given)


def run(given) -> int:
    """Brings a report up to date."""

    def update(settings, make_display):
        from kdlib.report import pipeline

        templates = tuple(sorted((given.notebooks / "study").glob("*.ipynb"))) if given.study else ()
        request = _request(given, settings=Settings.named(**settings), templates=templates)
        return pipeline.update_report(request, make_display)

    return _update(given, update)


def sweep(given) -> int:
    """Brings a sweep up to date."""

    def update(settings, make_display):
        from kdlib.report import grid, sweep

        Settings.named(**settings)  # so that a mistake on the command line is not reported as the file's
        request = _request(given)
        return sweep.update_sweep(request, grid.read_grid(given.file, settings, request.methods), make_display)

    return _update(given, update)


def _update(given, update) -> int:
    """Calls `update` with the settings given and a display; prints what went wrong, and where the pages are."""
    from kdlib.report import progress, publish, request

    settings = command_line.given_settings(given)
    try:
        before = signal.signal(signal.SIGTERM, _terminate)
        try:
            problems = update(settings, progress.make_display)
        finally:
            signal.signal(signal.SIGTERM, before)
    except (SettingsError, request.RequestError, publish.PublishError) as error:
        return print_error(progress.printable(str(error)))
    except KeyboardInterrupt:
        return print_error("interrupted; what was published before is intact", 130)
    except Terminated:
        return print_error("terminated; what was published before is intact", 143)
    for name, reason in problems.items():
        print(progress.printable(f"{name}: {reason}"), file=sys.stderr)
    if (given.out / "index.html").is_file():
        print(given.out / "index.html")
    return FAILED if problems else 0


def _request(given, **more):
    from kdlib.report import own_methods, request

    if given.jobs is not None:
        check_whole("jobs", given.jobs)
    if given.timeout is not None:
        check_number("timeout", given.timeout, 1, 1_000_000_000, including_low=True)
    return request.Request(
        data=given.data,
        out=given.out,
        notebooks=given.notebooks,
        draft=given.draft,
        jobs=given.jobs or os.cpu_count() or 1,
        scheduler=given.scheduler,
        dashboard=given.dashboard,
        timeout=given.timeout,
        force=given.force,
        methods=given.methods and own_methods.read(given.methods),
        command=command_line.command(given),
        **more,
    )


def _terminate(*_):
    raise Terminated


def check(given) -> int:
    """Prints what datasets hold, or why they are refused."""
    from kdlib.data import DataContractError, UnsafePickleError

    return max(_attempt(partial(_describe, path), DataContractError, UnsafePickleError) for path in given.files)


def convert(given) -> int:
    """Turns a CSV file into a dataset."""
    from kdlib.data import DataContractError, csv_import, files, save
    from kdlib.report.progress import printable

    if given.dataset.suffix != ".pkl":
        expected = "a name that ends in .pkl, which a report looks for"
        return print_error(f"dataset: expected {expected}, got {str(given.dataset)!r}")

    def write() -> str:
        table, teachers = csv_import.read(given.table), given.teacher or ()
        with files.name_file_in_errors(given.table):
            arrays, meanings = csv_import.arrays(table, given.label, given.domain, given.split, teachers)
            save(given.dataset, arrays)
        lines = [f"{column}: {', '.join(f'{i} is {name}' for i, name in enumerate(names))}"
                 for column, names in meanings.items()]  # fmt: skip
        return "\n".join([*map(printable, lines), _describe(given.dataset)])

    return _attempt(write, DataContractError)


def _describe(path) -> str:
    from kdlib.data import load
    from kdlib.data.contract import are_probabilities
    from kdlib.report.progress import printable

    data = load(path)
    samples = [f"{len(split)} {name}" for name, split in data.splits.items()]
    sizes = [
        counted(data.features, "feature"),
        counted(data.classes, "class", "classes"),
        counted(data.domains, "domain"),
    ]
    text = f"{path}: {', '.join(samples)}; {', '.join(sizes)}"
    if data.more is not None:
        text += f"; {counted(len(data.more), 'unlabelled sample')}"
    if data.train.t is not None:
        kind = "probabilities" if are_probabilities(data.train.t) else "logits"
        keys = ", ".join(key for key in data.arrays() if key.startswith("t_"))
        text += f"; {counted(len(data.train.t), 'teacher')}, {kind} in {keys}"
    return printable(text)


def export(given) -> int:
    """Writes one network of a run as a Keras model."""
    from kdlib.models import keras_file
    from kdlib.models.networks import ModelError, Networks

    def write() -> str:
        networks = Networks.read(given.run / "student.npz")
        method = given.method or networks.about["method"]
        chosen = networks.about["seed"] if method == networks.about["method"] else 0
        seed = chosen if given.seed is None else given.seed
        keras_file.write(given.out, networks, method, seed)
        return f"{given.out}: {networks.about['titles'][method]}, seed {seed}, of {networks.about['dataset']}"

    return _attempt(write, ModelError)


def predict(given) -> int:
    """Prints what a network says of the rows of a CSV file."""
    from kdlib.data import DataContractError
    from kdlib.models import networks, table

    def classify() -> str:
        return table.predict(given.model, given.table).to_csv(index=False, float_format="%.9g").rstrip("\n")

    return _attempt(classify, networks.ModelError, DataContractError)


def archive(given) -> int:
    """Archives a report."""
    from kdlib.report import archive

    def write():
        return archive.write(given.out, given.data, given.author, given.methods)

    return _attempt(write, archive.ArchiveError)


def keep(given) -> int:
    """Makes a report the reference."""
    from kdlib.report import reference

    return _attempt(lambda: reference.keep(given.out, given.reference), reference.NotComparable, status=USAGE)


def verify(given) -> int:
    """Compares a report with the reference, or with an archive of another report."""
    from kdlib.report import archive, bits, reference

    def compare() -> tuple[bool, list[str]]:
        is_archive = given.reference.suffix == ".zip"
        with archive.unpacked(given.reference) if is_archive else nullcontext(given.reference) as other:
            agrees, lines = reference.compare(given.out, other)
        if lines != [reference.SAME] and (digests := given.reference.parent / bits.FILE).is_file():
            lines += bits.compare(bits.compute(), digests)[1]
        return agrees, [*lines, f"{given.out} {'agrees' if agrees else 'does not agree'} with {given.reference}"]

    return _judge(compare, archive.ArchiveError, reference.NotComparable)


def bits(given) -> int:
    """Compares what this machine computes with digests of a file, layer by layer; or writes the file."""
    from kdlib.report import bits

    def compare() -> tuple[bool, list[str]]:
        if given.keep:
            given.file.write_bytes(bits.record(bits.compute()))
            return True, [str(given.file)]
        bits.read(given.file)  # before what takes long
        return bits.compare(bits.compute(), given.file)

    return _judge(compare, ValueError)


def _judge(compare, *errors: type[Exception]) -> int:
    """Prints the lines that `compare` returns beside whether all agrees; returns the exit status."""
    agrees = False

    def act() -> str:
        nonlocal agrees
        agrees, lines = compare()
        return "\n".join(lines)

    return _attempt(act, *errors, status=USAGE) or (0 if agrees else FAILED)


def _attempt(act, *errors: type[Exception], status: int = FAILED) -> int:
    """Prints what `act` returns or, of its own errors and the system's, one line; returns the exit status."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        print(act())
    except errors as error:
        return print_error(" ".join(str(error).split()), status)
    except OSError as error:
        return print_error(f"{error.filename}: {error.strerror}", status)
    return 0


ACTIONS = {
    "run": run, "sweep": sweep, "check": check, "convert": convert, "export": export, "predict": predict,
    "archive": archive, "keep": keep, "verify": verify, "bits": bits,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
