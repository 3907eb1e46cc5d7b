"""One report: executes what is due, publishes what it made, then the summary and the pages.

With nothing due, no process is started and nothing heavy is imported. What is due, and why, is decided by `plan`; where
it runs, by `cluster`.
"""

import contextlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from kdlib.data import DataContractError, UnsafePickleError, loads
from kdlib.evaluation.formatting import counted
from kdlib.report import manifest, own_methods, plan, publish
from kdlib.report.execution.run_notebook import Outcome
from kdlib.report.navigation import page_links
from kdlib.report.plan import Run, Template
from kdlib.report.request import Request, find_datasets


def update_report(request: Request, make_display) -> dict[str, str]:
    """Brings the report up to date; returns the problems, a line by the name of what has one.

    make_display: makes the display (`progress`), once there is something to show.
    """
    datasets, refused = find_datasets(request.data)
    paths = [request.notebooks / "experiment.ipynb", *request.templates]
    templates = [plan.read_template(request, path, plan.EXPERIMENT_PARAMETERS) for path in paths]
    summary = plan.read_template(request, request.notebooks / "summary.ipynb", plan.SUMMARY_PARAMETERS)
    runs = [plan.dataset_run(request, data, template) for data in datasets for template in templates]
    return update(request, runs, refused, summary, make_display)


def update(
    request: Request, runs: list[Run], refused: dict[str, str], summary: Template, make_display
) -> dict[str, str]:
    """Executes those runs that are due, then the summary of all, and renders their pages; returns the problems.

    refused: datasets that have no run, with reasons.
    """
    with publish.lock(request.out), contextlib.ExitStack() as stack:
        runner = ReportRunner(request, runs, refused, stack, stack.enter_context(make_display()))
        runner.execute([run for run in runs if runner.is_due(run) and runner.has_valid_data(run)])
        last = plan.summary_run(request, [run.name for run in runs], refused, summary)
        runner.execute([last] if runner.is_due(last) else [])
        for run in [*runs, last]:
            runner.refresh_page(run)
        if runner.idle:
            runner.display.log(f"nothing is due; up to date: {counted(len(runs), 'run')} and the summary")
    return refused | runner.problems


class ReportRunner:
    """Executes due runs on workers, which start with the first of them, and publishes what they made.

    stack: an ExitStack that ends the workers.
    """

    def __init__(self, request: Request, runs: list[Run], refused: dict[str, str], stack, display):
        self.request, self.refused, self.stack, self.display = request, refused, stack, display
        self.pages = [run.name for run in runs if run.page]
        self.problems = {}
        self.pool = None
        self.idle = True
        self._data_errors = {}  # what is wrong with a dataset, by its file; "" if nothing is

    @cached_property
    def commit(self) -> dict | None:
        """The git commit of the notebooks."""
        return manifest.commit(self.request.notebooks)

    def is_due(self, run: Run) -> bool:
        """Whether a run is due, and says why; if not, its last problem is reported again."""
        reasons = run.reasons_due(self.request.out, self.request.force)
        if reasons:
            more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
            self.display.log(f"{run.title}: due, {', '.join(reasons[:3])}{more}")
            self.idle = False
        elif (last := manifest.read(self.request.out / run.name))["status"] != "ok":
            self.problems[run.title] = f"{last['status']}: {last['reason']}"
        return bool(reasons)

    def has_valid_data(self, run: Run) -> bool:
        """Whether the run's data keep the contract; if not, that is published as its outcome."""
        file, content = next(iter(run.inputs.items()))
        if file not in self._data_errors:
            try:
                if run.unreadable:
                    raise DataContractError(run.unreadable)
                loads(file, content)
                self._data_errors[file] = ""
            except (DataContractError, UnsafePickleError) as error:
                self._data_errors[file] = " ".join(str(error).split())
        if self._data_errors[file]:
            self._publish(run, Outcome("invalid", self._data_errors[file]))
        return not self._data_errors[file]

    def execute(self, runs: list[Run]) -> None:
        """Executes runs, the longest first, and publishes each as it ends."""
        if not runs:
            return
        from kdlib.report.cluster import queue

        if self.pool is None:
            if self.request.methods:
                own_methods.check(self.request.methods)
            self.pool = self._open_pool(min(self.request.jobs, len(runs)))
        expected = {run.title: run.expected_seconds(self.request.out) for run in runs}
        runs = sorted(runs, key=lambda run: -sum(expected[run.title] or [float("inf")]))
        by_title = {run.title: run for run in runs}
        at_once = min(self.request.jobs, len(runs))
        cores = 1 if self.request.scheduler else self.request.jobs // at_once  # a cluster's workers have one each
        settings = {"timeout": self.request.timeout, "reuse": not self.request.force, "cores": cores}
        jobs = [run.job(self._origin(run), self._links(run), **settings) for run in runs]
        with self.display.running(expected):
            for job, outcome in queue.run_jobs(self.pool, jobs, self.display.update):
                self._publish(by_title[job.name], outcome)

    def refresh_page(self, run: Run) -> None:
        """Renders the page of a good run again if the templates, or what the page links to, have changed."""
        if not run.page:
            return
        folder = self.request.out / run.name
        record = manifest.read(folder)
        links = self._links(run)
        if record is None or record["status"] != "ok" or _has_key(folder / run.page, manifest.page_key(links)):
            return
        from kdlib.report.pages import render

        try:
            content = render.render_page((folder / run.notebook).read_bytes(), record, links).encode("utf-8")
            publish.publish_page(self.request.out, run.name, run.page, content)
        except (publish.PublishError, render.PageError) as error:
            self.problems[run.title] = f"failed: {error}"
            return
        self.display.log(f"{run.title}: page rendered again")
        self.idle = False

    def _open_pool(self, jobs: int):
        from kdlib.report.cluster import client, workers

        opening = client.open_client(jobs, self.request.scheduler, self.request.dashboard)
        connected = self.stack.enter_context(opening)
        if self.request.dashboard:
            self.display.log(f"dashboard: {connected.dashboard_link}")
        return workers.WorkerPool(connected, self.display.log)

    def _origin(self, run: Run) -> dict:
        return {"name": run.title, "parameters": run.parameters, "hashes": run.hashes, "git": self.commit}

    def _links(self, run: Run) -> dict | None:
        return page_links(self.request, run, self.pages, self.refused) if run.page else None

    def _publish(self, run: Run, outcome: Outcome) -> None:
        if not outcome.environment:
            outcome = replace(outcome, environment=manifest.environment())
        record = outcome.record(self._origin(run))
        if outcome.status == "ok":
            try:
                self._publish_good(run, outcome, record)
            except publish.PublishError as error:
                record |= {"status": "failed", "reason": str(error)}
        if record["status"] != "ok":
            self.problems[run.title] = f"{record['status']}: {record['reason']}"
            with contextlib.suppress(publish.PublishError):  # the disk may have no room for the record either
                publish.publish_failure(self.request.out, run.name, outcome.notebook, record)
        self.display.finish(run.title, record["status"], record["reason"], outcome.seconds)

    def _publish_good(self, run: Run, outcome: Outcome, record: dict) -> None:
        if taken := {manifest.FILE, publish.FAILED, run.page, run.notebook} & outcome.files.keys():
            raise publish.PublishError(f"results: {taken.pop()!r} is a name that the report itself uses")
        pages = {run.page: outcome.page.encode("utf-8")} if run.page else {}
        files = {run.notebook: outcome.notebook} | outcome.files
        publish.publish_run(self.request.out, run.name, files, pages, record)


def _has_key(page: Path, key: str) -> bool:
    try:
        with page.open("rb") as file:
            return key.encode() in file.read(4096)
    except OSError:
        return False
