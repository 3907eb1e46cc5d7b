"""What a page tells beside its notebook: where it leads, and with what it was made.

Part of a page's key: a page is rendered anew when any of it changes. How it looks is in `templates/`.
"""

import shlex
from dataclasses import fields
from urllib.parse import quote

from kdlib.report import manifest
from kdlib.report.plan import Request, Run
from kdlib.settings import Settings


def navigation(request: Request, run: Run, names: list[str], refused: dict[str, str]) -> dict:
    """Where a page leads, up to the summary or from there to every report; its settings, and the command.

    refused: datasets that have no report, with reasons; the summary of a report lists them as well.
    """
    links = {"up": None, "reports": [], "command": request.command}
    if run.name or names:  # the points of a sweep have no pages, and settings of their own
        links |= {"seeds": request.study.seeds, "epochs": request.study.epochs}
    if run.name:
        return links | {"up": "../" * (run.name.count("/") + 1) + "index.html"}
    for name in names:
        record = manifest.read(request.out / name) or {}
        there = manifest.last_good(record or None) is not None
        status = {"status": record.get("status", ""), "reason": record.get("reason", "")}
        links["reports"].append({"name": name, "href": quote(f"{name}/report.html") if there else None} | status)
    for name, reason in refused.items() if names else ():
        status, _, why = reason.partition(": ")
        links["reports"].append({"name": name, "href": None, "status": status, "reason": why})
    return links


def command(given) -> str:
    """The command line that asks for the same, on whatever machine: of files and folders only the names are told.

    given: the command line, as parsed by `__main__`.
    """
    words = [given.act.__name__, *([given.file.name] if "file" in given else []), f"--data={given.data.resolve().name}"]
    for name in (field.name for field in fields(Settings)):
        if (value := getattr(given, name)) is not None:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words.append(f"--{name.replace('_', '-')}={text}")
    words += [f"--{flag}" for flag in ("draft", "study") if getattr(given, flag, False)]
    return shlex.join(["python", "-m", "kdlib.report", *words])
