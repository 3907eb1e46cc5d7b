"""What a page shows beside its notebook: links to other pages, settings, and the command that makes it.

Part of a page's key: a page is rendered again when any of it changes. Out of scope: how it looks, which is in
`pages/templates`.
"""

from itertools import groupby
from urllib.parse import quote

from kdlib.data.names import without_cut
from kdlib.report import manifest
from kdlib.report.plan import Request, Run


def page_links(request: Request, run: Run, names: list[str], refused: dict[str, str]) -> dict:
    """A page's links, up to the summary or from there to every report; its settings, and the command.

    names: of the runs that have pages. refused: datasets that have no report, with reasons; the summary lists them too.
    """
    links = {"up": None, "reports": [], "command": request.command}
    if run.name or names:  # a sweep's points have no pages, and settings of their own
        links |= {"seeds": request.settings.seeds, "epochs": request.settings.epochs}
    if run.name:
        up = "../" * (run.name.count("/") + 1)
        study = run.name.partition("/")[2]
        alike = [name for name in names if name.partition("/")[2] == study]  # the same study of every dataset
        place = alike.index(run.name) if run.name in alike else -1
        around = {"previous": alike[:place][-1:], "next": alike[place + 1 :][:1]} if place >= 0 else {}
        links |= {
            side: {"name": name.partition("/")[0], "href": quote(f"{up}{name}/report.html")}
            for side, found in around.items()
            for name in found
        }
        return links | {"up": f"{up}index.html"}
    reports = []
    for name in names:
        record = manifest.read(request.out / name) or {}
        published = manifest.last_good(record or None) is not None
        status = {"status": record.get("status", ""), "reason": record.get("reason", "")}
        reports.append({"name": name, "href": quote(f"{name}/report.html") if published else None} | status)
    for name, reason in refused.items() if names else ():
        status, _, why = reason.partition(": ")
        reports.append({"name": name, "href": None, "status": status, "reason": why})
    return links | {"reports": _by_dataset(reports)}


def _by_dataset(reports: list[dict]) -> list[list[dict]]:
    """Links of each dataset and its studies, or of all its cuts; `cut` is the number of one, if any."""
    studies = any("/" in report["name"] for report in reports)

    def dataset(report):
        name = report["name"].partition("/")[0]
        return (name, "") if studies else without_cut(name)

    groups = groupby(reports, lambda report: dataset(report)[0])
    return [[report | {"cut": dataset(report)[1]} for report in group] for _, group in groups]
