"""What a report displays while it runs: live bars in a terminal, elsewhere a line at each start and end.

The time left of a run comes from its cells' times in the last good run with the same parameters. Without one, cells are
counted, and only the training under way, whose epochs are counted, has a time left.
"""

import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.text import Text


def printable(text: str) -> str:
    """A name from outside, on one line and without control characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def format_duration(seconds: float) -> str:
    """`7 s`, `1:23`, `2:03:04`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _now() -> float:
    return time.monotonic()


@dataclass
class RunProgress:
    """How far one run has come."""

    expected: list[float]  #: seconds of each cell in the last such run; empty if there was none
    started: float = field(default_factory=_now)
    cell: int = 0  #: counted from 1; 0 before the first
    cells: int = 1
    cell_started: float = field(default_factory=_now)
    heading: str = ""
    training: str = ""  #: the training under way, its epoch, and the time left
    first_report: tuple = ()  #: of that training: its task, the epoch, and when it came

    def start_cell(self, cell: int, cells: int, heading: str) -> None:
        """A cell has begun."""
        self.cell, self.cells, self.heading, self.cell_started = cell, cells, heading, _now()
        self.training, self.first_report = "", ()

    def update_training(self, task: str, epoch: int, epochs: int) -> None:
        """A training has done some epochs."""
        if self.first_report[:1] != (task,):
            self.first_report = task, epoch, _now()
        _, first, since = self.first_report
        self.training = f"{task}, epoch {epoch} of {epochs}"
        if not self.expected and first < epoch < epochs:
            self.training += f", {format_duration((_now() - since) / (epoch - first) * (epochs - epoch))} left"

    def fraction(self) -> float:
        """Between 0 and 1."""
        if not self.expected or not self.cell:
            return max(0, self.cell - 1) / max(1, self.cells)
        return 1 - self.seconds_left() / max(sum(self.expected), 1e-9)

    def seconds_left(self) -> float | None:
        """Seconds left, if known; a cell that takes longer than expected counts as about to end."""
        if not self.expected:
            return None
        if not self.cell:
            return sum(self.expected)
        this = self.expected[self.cell - 1] if self.cell <= len(self.expected) else 0
        return sum(self.expected[self.cell :]) + max(0, this - (_now() - self.cell_started))

    def describe(self) -> str:
        """`cell 4 of 12 · 0:31, 1:10 left · Direct training · ffnn, epoch 80 of 300`."""
        left = self.seconds_left()
        times = format_duration(_now() - self.started) + (f", {format_duration(left)} left" if left is not None else "")
        return " · ".join(filter(None, [f"cell {self.cell} of {self.cells}", times, self.heading, self.training]))


@dataclass
class TotalProgress:
    """How many of all runs have ended."""

    runs: int
    ended: int = 0
    started: float = field(default_factory=_now)

    def fraction(self) -> float:
        """Between 0 and 1."""
        return self.ended / self.runs

    def describe(self) -> str:
        """`3 of 8 · 1:23`."""
        return f"{self.ended} of {self.runs} · {format_duration(_now() - self.started)}"


class LogDisplay:
    """For logs: a line at the start and the end of each run."""

    def __init__(self, console: Console):
        self.console = console

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def log(self, text: str) -> None:
        """Prints a line."""
        self.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def running(self, expected: dict[str, list[float]]):
        """Held while runs are executed; `expected` has the seconds of their cells, where known, by name."""
        yield

    def update(self, event: dict) -> None:
        """A cell begins (name, cell, cells, heading), or a training goes on (name, task, epoch, epochs)."""
        if event.get("cell") == 1:
            self.log(f"{event['name']}: started")

    def finish(self, name: str, status: str, reason: str, seconds: float) -> None:
        """A run has ended."""
        self.log(f"{name}: {status} after {format_duration(seconds)}{f', {reason}' if reason else ''}")


class TerminalDisplay(LogDisplay):
    """For terminals: a live bar for each run under way, and above them a line for each that has ended."""

    def __init__(self, console: Console):
        super().__init__(console)
        self.expected, self.bars, self.runs = {}, {}, {}
        columns = TextColumn("{task.fields[name]}", markup=False), BarColumn(bar_width=24), DescriptionColumn()
        self.progress = _LiveProgress(*columns, console=console, transient=True)

    @contextmanager
    def running(self, expected):
        self.expected, self.total = expected, TotalProgress(len(expected))
        bar = self.progress.add_task("", total=1.0, name="runs", progress=self.total, visible=len(expected) > 1)
        with self.progress:
            yield
        self.progress.remove_task(bar)

    def update(self, event):
        name = event["name"]
        if name not in self.bars:
            if name in self.runs:
                return  # it has ended, and this event was late
            run = self.runs[name] = RunProgress(self.expected.get(name, []))
            self.bars[name] = self.progress.add_task("", total=1.0, name=printable(name), progress=run)
        if "task" in event:
            self.runs[name].update_training(event["task"], event["epoch"], event["epochs"])
        else:
            self.runs[name].start_cell(event["cell"], event["cells"], event["heading"])

    def finish(self, name, status, reason, seconds):
        if name in self.bars:
            self.progress.remove_task(self.bars.pop(name))
            self.total.ended += 1
        mark, style = ("✓", "green") if status == "ok" else ("✗", "red")
        line = Text.assemble((f"{mark} ", style), f"{printable(name)}  {format_duration(seconds)}")
        if reason:
            line.append(f"  {status}: {printable(reason)}", style)
        self.console.print(line, soft_wrap=True)


class DescriptionColumn(ProgressColumn):
    """What a bar's `progress` says of itself, cut where the terminal ends."""

    max_refresh = 0.2

    def render(self, task):
        description = printable(task.fields["progress"].describe())
        return Text(description, style="dim", overflow="ellipsis", no_wrap=True)


class _LiveProgress(Progress):
    def get_renderables(self):
        for task in self.tasks:
            task.completed = task.fields["progress"].fraction()
        yield from super().get_renderables()


class _Console(Console):
    """Goes on silently when nobody reads it any more, as in `make report | head`."""

    def on_broken_pipe(self):
        with suppress(SystemExit):
            super().on_broken_pipe()


def make_display() -> LogDisplay:
    """The display that suits standard output."""
    console = _Console(file=sys.stdout)
    return TerminalDisplay(console) if console.is_terminal and not console.is_dumb_terminal else LogDisplay(console)
