"""An archive of a report: one zip with its pages, results, networks, data, notebooks and code, for strangers.

Unpacked, it is a checkout with a finished report: `run` finds nothing due, trains nothing, and makes the pages again.
`crate` describes it. The same report gives the same bytes. Out of scope: sweeps, and identifiers that only a repository
of archives can give, such as a DOI.
"""

import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kdlib.data.files import replacing
from kdlib.report import command_line, crate, manifest
from kdlib.report.plan import as_parameters
from kdlib.settings import Settings

FILE = "archive.zip"  #: in the folder of the report
DATE = 1980, 1, 1, 0, 0, 0  #: of all files in it
ROOT = manifest.PACKAGE.parent
INPUTS = {
    "notebook": "its notebook", "data": "its dataset", "methods": "its file of methods (--methods, METHODS=)",
    "lock": "requirements.txt",
}  # fmt: skip
SOURCES = (
    "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "environment.yml", "pyproject.toml",
    "requirements*.txt", "data/**/*.md", "docs/*.md", "kdlib/**/*.*", "notebooks/**/*.*", "tools/*.py",
)  # fmt: skip


class ArchiveError(Exception):
    """A report cannot be archived, or a file is no archive of one; one line says why."""


def write(report: Path, data: Path, author: str, methods: Path | None = None) -> Path:
    """Archives a report that is up to date with this checkout; returns the archive's path.

    data: the folder of its datasets. author: whom to cite. methods: the user's own, if it has such. Raises
    `ArchiveError` or OSError.
    """
    datasets = {path.name: path.read_bytes() for path in sorted(data.glob("*.[pP][kK][lL]"))}
    runs = _runs(report, [Path(name).stem for name in datasets])
    files = {f"reports/{name}": content for name, content in _published(report, runs).items()}
    own = {f"methods/{methods.name}": methods.read_bytes()} if methods else {}
    files |= {f"data/{name}": content for name, content in datasets.items()} | _sources() | own
    present = {manifest.digest(content) for content in files.values()}
    for name, record in runs.items():
        if changed := _changed(record["hashes"], present):
            raise ArchiveError(f"{name or 'summary'}: {changed} is not what it ran with; make the report again")
    title = f"A report on knowledge distillation, {runs['']['started'][:10]}"
    files["CITATION.cff"] += _citation(title, runs[""], author).encode()
    files["ARCHIVE.md"] = _readme(command := _command(runs, own)).encode()
    described = crate.describe(title, author, command, files, runs)
    files[crate.FILE] = json.dumps(described, indent=1, ensure_ascii=False).encode()
    path = report / FILE
    with replacing(path) as part, zipfile.ZipFile(part, "w") as archive:
        for name, content in sorted(files.items()):
            info = zipfile.ZipInfo(name, DATE)
            info.external_attr = 0o644 << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The folder of the report in an archive, unpacked for as long as it is needed; raises `ArchiveError`."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder, [name for name in archive.namelist() if name.startswith("reports/")])
        except (OSError, zipfile.BadZipFile) as error:
            raise ArchiveError(f"{path}: expected an archive that `make archive` wrote: {error}") from None
        yield Path(folder) / "reports"


def _runs(report: Path, datasets: list[str]) -> dict[str, dict]:
    """The manifests of a report on some datasets by the folder's name, "" for the summary."""
    summary = manifest.read(report)
    if summary is None or summary["status"] != "ok" or "runs" not in summary["hashes"]:
        raise ArchiveError(f"there is no good report in {str(report)!r}: `make report` makes one")
    if not datasets:
        raise ArchiveError("data: expected the datasets of the report, *.pkl files, found none")
    runs = {"": summary}
    for dataset in datasets:
        studies = sorted(path.parent.name for path in (report / dataset).glob(f"*/{manifest.FILE}"))
        for name in (dataset, *(f"{dataset}/{study}" for study in studies)):
            record = manifest.read(report / name) or {"status": "is missing"}
            if record["status"] not in ("ok", "invalid"):
                raise ArchiveError(f"{name}: its last run {record['status']}; make the report again")
            runs[name] = record
    return runs


def _published(report: Path, runs: dict[str, dict]) -> dict[str, bytes]:
    """The files of all runs, with their pages, by their names in the report."""
    found = {}
    for name, record in runs.items():
        files = record.get("files", {})
        pages = [page for page in ("index.html", "report.html") if files and (report / name / page).is_file()]
        for file in (manifest.FILE, *files, *pages):
            content = (report / name / file).read_bytes()
            if file in files and manifest.digest(content) != files[file]:
                raise ArchiveError(f"{name or 'summary'}: {file} was altered; make the report again")
            found[f"{name}/{file}".lstrip("/")] = content
    return found


def _sources() -> dict[str, bytes]:
    paths = {path for pattern in SOURCES for path in ROOT.glob(pattern) if path.is_file()}
    hidden = {path for path in paths if path.suffix == ".pyc" or ".ipynb_checkpoints" in path.parts}
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths - hidden}


def _changed(hashes: dict, present: set[str]) -> str:
    """Which input of a run is not there or has changed; empty if nothing of it would be due in the archive."""
    found = manifest.code_digests(hashes["code"])
    changed = [what for kind, what in INPUTS.items() if kind in hashes and hashes[kind] not in present]
    return next(iter([*changed, *(file for file, digest in hashes["code"].items() if found.get(file) != digest)]), "")


def _command(runs: dict[str, dict], own: Iterable[str]) -> str:
    """The command that brings the report up to date, which it is."""
    given = next((record["parameters"] for name, record in runs.items() if name), {})
    words = ["python tools/environment.py -m kdlib.report run"]
    usual = as_parameters(Settings())
    words += command_line.options({name: given[name] for name in usual if given.get(name, usual[name]) != usual[name]})
    words += [f"--methods={name}" for name in own] + (["--draft"] if given.get("draft") else [])
    return " ".join([*words, *(["--study"] if any("/" in name for name in runs) else [])])


def _readme(command: str) -> str:
    return f"""# A report, its data and its code

`reports/index.html` is the report, and `README.md` says how it is made; `{crate.FILE}` says what was run, as a
Provenance Run Crate. This makes all pages again from the notebooks that were executed, and trains nothing:

    find reports -name '*.html' -delete
    {command}

With `--force` it trains all of it again. To compare another report with this archive:

    python tools/environment.py -m kdlib.report verify REPORT {FILE}
"""


def _citation(title: str, summary: dict, author: str) -> str:
    """What CITATION.cff says of the archive, beside the software."""
    results = {
        "type": "other",
        "value": f"sha256:{summary['files']['results.csv']}",
        "description": "SHA-256 of reports/results.csv in this archive",
    }
    fields = {"type": "data", "title": title, "authors": [{"name": author}]}
    fields |= {"date-released": summary["started"][:10], "identifiers": [results]}
    return f"preferred-citation: {json.dumps(fields)}\n"  # JSON is YAML
