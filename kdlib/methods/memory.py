"""How much memory a run needs, from the sizes of its data and settings, so that one that cannot fit does not begin.

The estimate is of the largest arrays that are there at once: points in double precision and as networks see them, the
points that teachers are asked about, and what every member answers for each of them. Out of scope: what other processes
will take meanwhile.
"""

from pathlib import Path

import psutil

from kdlib.data import Dataset
from kdlib.data.dataset import MAX_VALUES
from kdlib.settings import Settings
from kdlib.training.loop import TrainingError
from kdlib.training.networks import Architecture

BASE = 1.55e9  #: bytes of the libraries and compiled programs, and of small data
LIMIT = Path("/sys/fs/cgroup/memory.max")  #: where Linux says how much a container may use


def needed(dataset: Dataset, settings: Settings) -> float:
    """Bytes of a run of all methods at its peak."""
    samples = sum(map(len, dataset.splits.values()))
    network = Architecture(dataset.features, settings.hidden, (dataset.classes, dataset.domains)).weights
    points = 20 * samples * dataset.features + 16 * min(100 * samples * dataset.features, MAX_VALUES)
    answers = samples * dataset.classes * (40 + 4 * dataset.domains)
    return BASE + points + settings.seeds * (answers + 40 * network)


def available() -> float:
    """Bytes that are free on the machine, or as many as the container may use that this is in."""
    free = psutil.virtual_memory().available
    try:
        return min(free, int(LIMIT.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit
        return free


def check(dataset: Dataset, settings: Settings) -> None:
    """Raises `TrainingError` if a run of all methods needs more memory than there is."""
    if (need := needed(dataset, settings)) > (there := available()):
        raise TrainingError(
            f"{dataset.name}: {len(dataset.train):,} training samples of {dataset.features:,} features, "
            f"{settings.seeds} seeds and hidden layers of {', '.join(map(str, settings.hidden))} units need about "
            f"{need / 1e9:.1f} GB of memory, and {there / 1e9:.1f} GB are available; keep fewer samples or features, "
            "lower --seeds or --hidden, or run fewer notebooks at once (--jobs)"
        )
