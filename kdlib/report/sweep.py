"""A sweep: every point of a grid on every dataset, and one page over all of them.

A point is a run like any other, on the same engine; what is due is decided by the same hashes, so that a grid that
grew runs what is new. It gets no page of its own: its notebook and numbers are kept, and the summary shows them.
"""

from pathlib import Path

from kdlib.report.grid import Grid
from kdlib.report.pipeline import bring_up_to_date
from kdlib.report.plan import OF_DATASET, OF_SUMMARY, Request, RequestError, find_datasets, read, run_on, template


def sweep(request: Request, grid: Grid, display) -> dict[str, str]:
    """Brings a sweep up to date; returns the problems, a line by the name of what has one."""
    datasets, refused = find_datasets(request.data)
    there = {path.stem for path in datasets} | {Path(name).stem for name in refused}
    if missing := [name for name in grid.datasets if name not in there]:
        raise RequestError(f"datasets: there is no {', '.join(missing)}; there are {', '.join(sorted(there))}")
    if grid.datasets:
        datasets = [path for path in datasets if path.stem in grid.datasets]
        refused = {name: reason for name, reason in refused.items() if Path(name).stem in grid.datasets}
    point = template(request.notebooks / "sweep" / "point.ipynb", OF_DATASET | {"fraction", "methods"})
    summary = template(request.notebooks / "sweep" / "summary.ipynb", OF_SUMMARY)
    runs = []
    for path in datasets:
        data = read(path)  # once for all points
        for name, parameters in grid.points().items():
            runs.append(run_on(request, path.name, data, f"{path.stem}/{name}", point, parameters, page=None))
    return bring_up_to_date(request, runs, refused, summary, display)
