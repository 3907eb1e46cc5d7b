"""One report: executes what is due, publishes what came of it, then the summary and the pages.

With nothing due nothing is started and nothing heavy is imported. What is due, and why, is in `plan`;
where it runs, in `engine`.
"""

import contextlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from kdlib.report import manifest, publish
from kdlib.report.execution.run_notebook import Job, Outcome
from kdlib.report.navigation import navigation
from kdlib.report.plan import OF_DATASET, OF_SUMMARY, Request, Run, find_datasets, run_of, summary_of, template


def report(request: Request, display) -> dict[str, str]:
    """Brings the report up to date; returns the problems, a line by the name of what has one.

    `display()` makes the `progress` display, when there is something to show.
    """
    datasets, refused = find_datasets(request.data)
    paths = [request.notebooks / "experiment.ipynb", *request.templates]
    templates = {path: template(path, OF_DATASET) for path in paths}
    summary = template(request.notebooks / "summary.ipynb", OF_SUMMARY)
    runs = [run_of(request, data, path, content) for data in datasets for path, content in templates.items()]
    return bring_up_to_date(request, runs, refused, summary, display)


def bring_up_to_date(request: Request, runs: list[Run], refused: dict, summary: bytes, display) -> dict[str, str]:
    """Executes those runs that are due, then the summary of all, and renders their pages; returns the problems.

    refused: datasets that have no run, with reasons.
    """
    with publish.locked(request.out), contextlib.ExitStack() as stack:
        press = _Press(request, runs, refused, stack, stack.enter_context(display()))
        press.execute([run for run in runs if press.is_due(run) and press.keeps_contract(run)])
        last = summary_of(request, [run.name for run in runs], refused, summary)
        press.execute([last] if press.is_due(last) else [])
        for run in [*runs, last]:
            press.refresh(run)
        if not press.busy:
            press.display.say(f"nothing is due; up to date: {len(runs)} run{'s' * (len(runs) != 1)} and the summary")
    return refused | press.problems


class _Press:
    """Executes due runs, on an engine that starts with the first of them, and publishes what they made."""

    def __init__(self, request: Request, runs: list[Run], refused: dict, stack, display):
        self.request, self.refused, self.stack, self.display = request, refused, stack, display
        self.pages = [run.name for run in runs if run.page]
        self.problems = {}
        self.unfit = {}  #: what is wrong with each dataset, by file; "" if nothing
        self.crew = None
        self.busy = False

    @cached_property
    def commit(self) -> dict | None:
        return manifest.commit(self.request.notebooks)

    def is_due(self, run: Run) -> bool:
        why = run.due(self.request.out, self.request.force)
        if why:
            more = f" and {len(why) - 3} more" if len(why) > 3 else ""
            self.display.say(f"{run.title}: due, {', '.join(why[:3])}{more}")
            self.busy = True
        elif (last := manifest.read(self.request.out / run.name))["status"] != "ok":
            self.problems[run.title] = f"{last['status']}: {last['reason']}"
        return bool(why)

    def keeps_contract(self, run: Run) -> bool:
        """Whether the run's data keep the contract; if not, that is published at once."""
        from kdlib.data import (  # brings NumPy, which an idle press does not need
            DataContractError,
            UnsafePickleError,
            loads,
        )

        file, content = next(iter(run.inputs.items()))
        if file not in self.unfit:
            try:
                if run.unreadable:
                    raise DataContractError(run.unreadable)
                loads(file, content)
                self.unfit[file] = ""
            except (DataContractError, UnsafePickleError) as error:
                self.unfit[file] = " ".join(str(error).split())
        if self.unfit[file]:
            self._publish(run, Outcome("invalid", self.unfit[file]))
        return not self.unfit[file]

    def execute(self, runs: list[Run]) -> None:
        if not runs:
            return
        from kdlib.report.cluster import client, queue, workers

        if self.crew is None:
            jobs = max(1, min(self.request.jobs, len(runs)))
            request = self.request
            client = self.stack.enter_context(client.engine(jobs, request.scheduler, request.dashboard))
            self.crew = workers.Crew(client, self.display.say)
            if request.dashboard:
                self.display.say(f"dashboard: {client.dashboard_link}")
        expected = {run.title: run.expected(self.request.out) for run in runs}
        runs = sorted(runs, key=lambda run: -sum(expected[run.title] or [float("inf")]))  # longest first
        by_title = {run.title: run for run in runs}
        jobs = [self._job(run) for run in runs]
        with self.display.live(expected):
            for job, outcome in queue.run(self.crew, jobs, self.display.event):
                self._publish(by_title[job.name], outcome)

    def refresh(self, run: Run) -> None:
        """Renders the page of a good run anew, where the press or what the page leads to has changed."""
        if not run.page:
            return
        folder = self.request.out / run.name
        record = manifest.read(folder)
        links = self._links(run)
        if record is None or record["status"] != "ok" or _has_key(folder / run.page, manifest.page_key(links)):
            return
        from kdlib.report.pages import render

        try:
            content = render.page((folder / run.notebook).read_bytes(), record, links).encode("utf-8")
            publish.page(self.request.out, run.name, run.page, content)
        except (publish.PublishError, render.PageError) as error:
            self.problems[run.title] = f"failed: {error}"
            return
        self.display.say(f"{run.title}: page rendered anew")
        self.busy = True

    def _publish(self, run: Run, outcome: Outcome) -> None:
        if not outcome.environment:
            outcome = replace(outcome, environment=manifest.environment())
        record = outcome.record(self._about(run))
        if outcome.status == "ok":
            record |= self._publish_good(run, outcome, record)
        if record["status"] != "ok":
            self.problems[run.title] = f"{record['status']}: {record['reason']}"
            with contextlib.suppress(publish.PublishError):  # there is no room for the record either
                publish.failed(self.request.out, run.name, outcome.notebook, record)
        self.display.ended(run.title, record["status"], record["reason"], outcome.seconds)

    def _about(self, run: Run) -> dict:
        return {"name": run.title, "parameters": run.parameters, "hashes": run.hashes, "git": self.commit}

    def _links(self, run: Run) -> dict:
        return navigation(self.request, run, self.pages, self.refused)

    def _job(self, run: Run) -> Job:
        links = self._links(run) if run.page else None
        return replace(run.job(self.request.timeout), record=self._about(run), links=links)

    def _publish_good(self, run, outcome, record) -> dict:
        """Publishes a good run; what of the record is otherwise, if it cannot be published."""
        try:
            if taken := {manifest.FILE, publish.FAILED, run.page, run.notebook} & outcome.files.keys():
                raise publish.PublishError(f"results: {taken.pop()!r} is a name that the report itself uses")
            pages = {run.page: outcome.page.encode("utf-8")} if run.page else {}
            files = {run.notebook: outcome.notebook} | outcome.files
            publish.good(self.request.out, run.name, files, pages, record)
        except publish.PublishError as error:
            return {"status": "failed", "reason": str(error)}
        return {}


def _has_key(page: Path, key: str) -> bool:
    try:
        with page.open("rb") as file:
            return key.encode() in file.read(4096)
    except OSError:
        return False
