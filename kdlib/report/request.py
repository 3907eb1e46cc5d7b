"""What is asked for: a report to make, and the datasets that it is about."""

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from kdlib.data import files
from kdlib.report import publish
from kdlib.settings import Settings

#: of the report itself, with any ending
RESERVED_NAMES = set("index results summary table manifest reference draft verify sweep".split())


class RequestError(Exception):
    """What was asked for cannot be done; one line says why."""


@dataclass(frozen=True)
class MethodsFile:
    """A file of the user's own methods (`own_methods`)."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Request:
    """A report to make: from what, where, and how."""

    data: Path
    out: Path
    notebooks: Path
    settings: Settings = field(default_factory=Settings)
    draft: bool = False
    templates: tuple[Path, ...] = ()  #: besides the experiment; each gets a folder of its own
    jobs: int = 2
    scheduler: str | None = None  #: an address, or the file that holds it
    dashboard: bool = False
    timeout: float | None = None  #: seconds, of each notebook
    force: bool = False
    methods: MethodsFile | None = None
    command: str = ""  #: the command line that asks for the same, for the pages


def find_datasets(folder: Path) -> tuple[list[Path], dict[str, str]]:
    """The pickles of a folder by name, and the reasons of those that are refused for their name."""
    try:
        present = sorted(folder.iterdir())
    except OSError as error:
        raise RequestError(f"data: expected a folder of *.pkl files, got {str(folder)!r}: {error.strerror}") from None
    found = [path for path in present if path.name.lower().endswith(".pkl")]
    if not found:
        raise RequestError(
            f"data: expected *.pkl files in {str(folder)!r}, found none; data/README.md says how to write one"
        )
    good, refused, folders = [], {}, {}
    for path in found:
        key = unicodedata.normalize("NFC", path.stem).casefold()
        reason = _objection(path.stem)
        if key in folders:  # the same folder on file systems that ignore case
            reason = f"its report would have the same folder as that of {folders[key]!r}; rename one of them"
        folders.setdefault(key, path.name)
        if reason:
            refused[ascii(path.name)[1:-1]] = f"invalid: {reason}"
        else:
            good.append(path)
    return good, refused


def _objection(stem: str) -> str:
    """Why a name cannot be that of a report's folder; empty if it can."""
    if not stem.isprintable() or "\\" in stem:
        return "its name has a backslash or characters that cannot be printed; rename it"
    if stem.startswith(".") or not stem.strip():
        return "its name begins with a dot, or is empty; rename it"
    if stem.casefold().partition(".")[0] in RESERVED_NAMES or stem.casefold() == publish.FAILED:
        return f"{stem!r} is a name that the report itself uses; rename it"
    return ""


def read_dataset(path: Path) -> tuple[bytes, str]:
    """A dataset's bytes, or why they cannot be read."""
    try:
        return files.read_bytes(path), ""
    except files.DataContractError as error:
        return b"", str(error)
