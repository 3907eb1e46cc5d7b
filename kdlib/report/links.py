"""What a page tells beside its notebook: where it leads, and with what it was made.

Part of a page's key: a page is rendered anew when any of it changes. How it looks is in `templates/`.
"""

import shlex
from dataclasses import asdict
from urllib.parse import quote

from kdlib.report import manifest
from kdlib.report.plan import Request, Run
from kdlib.study import Study


def navigation(request: Request, run: Run, names: list[str]) -> dict:
    """Where a page leads, up to the summary or from there to every report; with what it was made, and the command."""
    links = {"seeds": request.study.seeds, "epochs": request.study.epochs, "command": command(request, run)}
    if run.name:
        return links | {"up": "../" * (run.name.count("/") + 1) + "index.html", "reports": []}
    reports = []
    for name in names:
        record = manifest.read(request.out / name) or {}
        there = manifest.last_good(record or None) is not None
        status = {"status": record.get("status", ""), "reason": record.get("reason", "")}
        reports.append({"name": name, "href": quote(f"{name}/report.html") if there else None} | status)
    return links | {"up": None, "reports": reports}


def command(request: Request, run: Run) -> str:
    """The command line that makes a run again, wherever it is made; of the data's folder only the name is told."""
    usual, study = asdict(Study()), asdict(request.study)
    options = {"data": request.data.resolve().name} | {
        name: value for name, value in study.items() if value != usual[name]
    }
    texts = {k: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for k, v in options.items()}
    flags = ["--draft"] * request.draft + ["--study"] * bool("/" in run.name or (request.templates and not run.name))
    given = [f"--{name.replace('_', '-')}={shlex.quote(text)}" for name, text in texts.items()]
    return " ".join(["python -m kdlib.report run", *given, *flags])
