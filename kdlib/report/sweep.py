"""A sweep: every point of a grid on every dataset, and one page over all of them.

A point is a run like any other; the same hashes decide what is due, so that a grid that grew runs what is new. It gets
no page of its own: its notebook and numbers are kept, and the summary shows them.
"""

from pathlib import Path

from kdlib.report.grid import Grid
from kdlib.report.pipeline import update
from kdlib.report.plan import EXPERIMENT_PARAMETERS, SUMMARY_PARAMETERS, make_run, read_template
from kdlib.report.request import Request, RequestError, find_datasets, read_dataset


def update_sweep(request: Request, grid: Grid, make_display) -> dict[str, str]:
    """Brings a sweep up to date; returns the problems, a line by the name of what has one."""
    datasets, refused = find_datasets(request.data)
    available = {path.stem for path in datasets} | {Path(name).stem for name in refused}
    if missing := [name for name in grid.datasets if name not in available]:
        raise RequestError(f"datasets: there is no {', '.join(missing)}; there are {', '.join(sorted(available))}")
    if grid.datasets:
        datasets = [path for path in datasets if path.stem in grid.datasets]
        refused = {name: reason for name, reason in refused.items() if Path(name).stem in grid.datasets}
    folder = request.notebooks / "sweep"
    point = read_template(request, folder / "point.ipynb", EXPERIMENT_PARAMETERS | {"fraction", "methods"})
    summary = read_template(request, folder / "summary.ipynb", SUMMARY_PARAMETERS)
    runs = []
    for path in datasets:
        data = read_dataset(path)  # once for all points
        for name, parameters in grid.points().items():
            runs.append(make_run(request, path.name, data, f"{path.stem}/{name}", point, parameters, page=None))
    return update(request, runs, refused, summary, make_display)
