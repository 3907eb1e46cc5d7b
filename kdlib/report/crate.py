"""What an archive holds and how it came about, as a Provenance Run Crate, version 0.5.

Leo et al., Recording provenance of workflow runs with RO-Crate, PLOS ONE 2024. The pipeline is the workflow, each
notebook a step, and every run of a notebook an action: from which data and settings, when, with which results.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from kdlib.report import manifest

FILE = "ro-crate-metadata.json"
WORKFLOW = "kdlib/report/pipeline.py"
FOLDERS = {"kdlib/": "The Python package.", "tools/": "Set-up.", "docs/": "The package's architecture."}
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
FORMATS = {
    ".csv": "text/csv", ".html": "text/html", ".ipynb": "application/x-ipynb+json", ".json": "application/json",
    ".keras": "application/zip", ".md": "text/markdown", ".npz": "application/zip", ".py": "text/x-python",
    ".pkl": "application/octet-stream",
}  # fmt: skip
COMPLETED = "http://schema.org/CompletedActionStatus"


class Crate:
    """Entities of a crate, by their identifiers."""

    def __init__(self):
        self.entities: dict[str, dict] = {}

    def add(self, identifier: str, kind: str | list[str], **properties) -> dict:
        """Adds an entity, or to one; returns a reference to it."""
        entity = self.entities.setdefault(identifier, {"@id": identifier})
        entity |= {"@type": kind, **properties}
        return {"@id": identifier}


def describe(title: str, author: str, command: str, files: dict[str, bytes], runs: dict[str, dict]) -> dict:
    """The crate's metadata, JSON-LD.

    files: content by name in the archive. runs: manifests by their folder in `reports`, "" of the summary.
    """
    crate, summary = Crate(), runs[""]
    who = crate.add("#author", "Organization", name=author, url="README.md")
    parts = _add_files(crate, files)
    environment = summary["environment"]
    python = crate.add("https://www.python.org/", "ComputerLanguage", name="Python", version=environment["python"])
    inputs = {name: content for name, content in files.items() if name.startswith(("data/", "methods/", "notebooks/"))}
    hashes = {manifest.digest(content): name for name, content in inputs.items()}
    used = dict.fromkeys(hashes[record["hashes"]["notebook"]] for record in runs.values())
    steps = {}
    for position, name in enumerate(used, start=1):
        tool = crate.add(
            quote(name), ["File", "SoftwareSourceCode"], programmingLanguage=python, url=quote(name),
            version=manifest.digest(files[name]),
        )  # fmt: skip
        steps[name] = crate.add(
            f"#step-{position}", "HowToStep", name=f"Execute {name}", position=str(position), workExample=tool
        )
    crate.add(
        WORKFLOW, ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"], programmingLanguage=python,
        url=WORKFLOW, version=(summary.get("git") or {}).get("commit", "unknown"), hasPart=_refer(used),
        step=list(steps.values()),
        conformsTo={"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"},
    )  # fmt: skip
    actions, controls = [], []
    for name, record in runs.items():
        if record["status"] == "ok":
            actions.append(_add_run(crate, name, record, hashes, runs, who))
            step, about = steps[hashes[record["hashes"]["notebook"]]], name or "summary"
            controls.append(crate.add(
                f"#control-{quote(about)}", "ControlAction", name=f"The step for {about}", instrument=step,
                object=actions[-1],
            ))  # fmt: skip
    whole = crate.add(
        "#report", "CreateAction", name=title, description=f"Made as by `{command}`.", agent=who,
        actionStatus=COMPLETED, startTime=min(record["started"] for record in runs.values()),
        endTime=max(map(_end, runs.values())), instrument={"@id": WORKFLOW},
        object=_refer(name for name in files if name.endswith(".pkl")),
        result=_refer(["reports/index.html", "reports/results.csv"]),
    )  # fmt: skip
    engine = "https://pypi.org/project/papermill/"
    version = environment["versions"].get("papermill", "unknown")
    crate.add(engine, "SoftwareApplication", name="papermill", url=engine, softwareVersion=version)
    crate.add(
        "#execution", "OrganizeAction", name="Execution of the notebooks", instrument={"@id": engine}, object=controls,
        result=whole,
    )  # fmt: skip
    profiles = [
        crate.add(identifier, "CreativeWork", name=name, version=identifier.rpartition("/")[2])
        for identifier, name in PROFILES.items()
    ]
    crate.add(
        "./", "Dataset", name=title, datePublished=summary["started"], author=who, publisher=who,
        description="A report on knowledge distillation: pages, results, networks, data, notebooks and code.",
        license={"@id": "LICENSE"}, mainEntity={"@id": WORKFLOW}, conformsTo=profiles, mentions=[*actions, whole],
        hasPart=parts,
    )  # fmt: skip
    specifications = [{"@id": "https://w3id.org/ro/crate/1.1"}, profiles[-1]]
    crate.add(FILE, "CreativeWork", about={"@id": "./"}, conformsTo=specifications)
    return {"@context": [CONTEXT, TERMS], "@graph": list(crate.entities.values())}


def _add_files(crate: Crate, files: dict[str, bytes]) -> list[dict]:
    """Every file of the archive, but of the code the folders alone; returns references to them."""
    parts = [crate.add(folder, "Dataset", name=folder, description=text) for folder, text in FOLDERS.items()]
    for name, content in sorted(files.items()):
        if name == WORKFLOW or not name.startswith(tuple(FOLDERS)):
            parts.append(crate.add(
                quote(name), "File", name=name, encodingFormat=FORMATS.get(Path(name).suffix, "text/plain"),
                contentSize=str(len(content)), sha256=manifest.digest(content),
            ))  # fmt: skip
    crate.add("README.md", "File", about={"@id": "./"})
    crate.add("LICENSE", ["File", "CreativeWork"], name="MIT licence", description="Of the code and the notebooks.")
    return parts


def _add_run(crate: Crate, name: str, record: dict, hashes: dict[str, str], runs, who: dict) -> dict:
    """One run of a notebook."""
    here, about = quote(name) or "summary", name or "the summary"
    template = hashes[record["hashes"]["notebook"]]
    read = [hashes[record["hashes"][kind]] for kind in ("data", "methods") if kind in record["hashes"]]
    inputs = _refer(read if name else (f"reports/{other}/{manifest.FILE}" for other in runs if other))
    settings = [
        crate.add(f"#{key}-of-{here}", "PropertyValue", name=key, value=json.dumps(value))
        for key, value in record["parameters"].items()
    ]
    folder = f"reports/{name}/" if name else "reports/"
    return crate.add(
        f"#run-{here}", "CreateAction", name=f"{template} for {about}", agent=who, actionStatus=COMPLETED,
        description=f"On {record['environment']['cpu']}, one thread.", startTime=record["started"],
        endTime=_end(record), instrument={"@id": quote(template)}, object=[*inputs, *settings],
        result=_refer(f"{folder}{file}" for file in record["files"]),
    )  # fmt: skip


def _refer(names) -> list[dict]:
    """References to files."""
    return [{"@id": quote(name)} for name in names]


def _end(record: dict) -> str:
    return (datetime.fromisoformat(record["started"]) + timedelta(seconds=round(record["seconds"]))).isoformat()
