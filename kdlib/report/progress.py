"""What a run shows while it works: live bars in a terminal, a line at each start and end elsewhere.

How long a run will still take is told from its cells' times in the last good run with the same
parameters; without one, cells are counted, and only the training under way, whose epochs are counted, has a time.
"""

import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.text import Text


def shown(text: str) -> str:
    """A name from outside, on one line and without control characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def clock(seconds: float) -> str:
    """`7 s`, `1:23`, `2:03:04`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@dataclass
class Course:
    """How far one run has come."""

    expected: list[float]  #: seconds of each cell in the last such run; empty if there was none
    began: float = field(default_factory=lambda: time.monotonic())
    cell: int = 0  #: counted from 1; 0 before the first
    of: int = 1
    cell_began: float = field(default_factory=lambda: time.monotonic())
    heading: str = ""
    training: str = ""  #: what is being trained, how far, and how long it will still take
    heard: tuple = ()  #: the task that is trained, the epoch of which was heard first, and when

    def enter(self, cell: int, of: int, heading: str):
        self.cell, self.of, self.heading, self.cell_began = cell, of, heading, time.monotonic()
        self.training, self.heard = "", ()

    def train(self, task: str, epoch: int, epochs: int):
        if self.heard[:1] != (task,):
            self.heard = task, epoch, time.monotonic()
        _, first, began = self.heard
        self.training = f"{task}, epoch {epoch} of {epochs}"
        if not self.expected and first < epoch < epochs:
            self.training += f", {clock((time.monotonic() - began) / (epoch - first) * (epochs - epoch))} left"

    def fraction(self) -> float:
        if not self.expected or not self.cell:
            return max(0, self.cell - 1) / max(1, self.of)
        return 1 - self.remaining() / max(sum(self.expected), 1e-9)

    def remaining(self) -> float | None:
        """Seconds still to go, if known; a cell that takes longer than it should counts as all but done."""
        if not self.expected:
            return None
        if not self.cell:
            return sum(self.expected)
        this = self.expected[self.cell - 1] if self.cell <= len(self.expected) else 0
        return sum(self.expected[self.cell :]) + max(0, this - (time.monotonic() - self.cell_began))

    def told(self) -> str:
        """`cell 4 of 12 · 0:31, 1:10 to go · Direct training · ffnn, epoch 80 of 300`; what is too long is cut."""
        left = self.remaining()
        so_far = clock(time.monotonic() - self.began) + (f", {clock(left)} to go" if left is not None else "")
        return " · ".join(filter(None, [f"cell {self.cell} of {self.of}", so_far, self.heading, self.training]))


@dataclass
class Whole:
    """How many of all runs have ended."""

    of: int
    ended: int = 0
    began: float = field(default_factory=lambda: time.monotonic())

    def fraction(self) -> float:
        return self.ended / self.of

    def told(self) -> str:
        return f"{self.ended} of {self.of} · {clock(time.monotonic() - self.began)}"


class Lines:
    """For logs: a line on start and end of each run."""

    def __init__(self, console: Console):
        self.console = console

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def say(self, text: str) -> None:
        self.console.print(shown(text), markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def live(self, expected: dict[str, list[float]]):
        """Held while runs are under way; `expected` has the seconds of their cells, where known, by name."""
        yield

    def event(self, event: dict) -> None:
        """A cell begins: name, cell, of, heading; or a training goes on: name, task, epoch, epochs."""
        if event.get("cell") == 1:
            self.say(f"{event['name']}: started")

    def ended(self, name: str, status: str, reason: str, seconds: float) -> None:
        self.say(f"{name}: {status} after {clock(seconds)}{f', {reason}' if reason else ''}")


class Bars(Lines):
    """For terminals: a live bar for each run under way, above it what has ended."""

    def __init__(self, console: Console):
        super().__init__(console)
        self.expected, self.tasks, self.courses = {}, {}, {}
        columns = TextColumn("{task.fields[name]}", markup=False), BarColumn(bar_width=24), CourseColumn()
        self.progress = _Live(*columns, console=console, transient=True)

    @contextmanager
    def live(self, expected):
        self.expected, self.whole = expected, Whole(len(expected))
        row = self.progress.add_task("", total=1.0, name="runs", course=self.whole, visible=len(expected) > 1)
        with self.progress:
            yield
        self.progress.remove_task(row)

    def event(self, event):
        name = event["name"]
        if name not in self.tasks:
            if name in self.courses:
                return  # late word of a run that has ended
            course = self.courses[name] = Course(self.expected.get(name, []))
            self.tasks[name] = self.progress.add_task("", total=1.0, name=shown(name), course=course)
        if "task" in event:
            self.courses[name].train(event["task"], event["epoch"], event["epochs"])
        else:
            self.courses[name].enter(event["cell"], event["of"], event["heading"])

    def ended(self, name, status, reason, seconds):
        if name in self.tasks:
            self.progress.remove_task(self.tasks.pop(name))
            self.whole.ended += 1
        mark, style = ("✓", "green") if status == "ok" else ("✗", "red")
        line = Text.assemble((f"{mark} ", style), f"{shown(name)}  {clock(seconds)}")
        if reason:
            line.append(f"  {status}: {shown(reason)}", style)
        self.console.print(line, soft_wrap=True)


class CourseColumn(ProgressColumn):
    max_refresh = 0.2

    def render(self, task):
        return Text(shown(task.fields["course"].told()), style="dim", overflow="ellipsis", no_wrap=True)


class _Live(Progress):
    def get_renderables(self):
        for task in self.tasks:
            task.completed = task.fields["course"].fraction()
        yield from super().get_renderables()


class _Console(Console):
    """One whose reader may go, as that of `make report | head` does: the work goes on, unheard."""

    def on_broken_pipe(self):
        with suppress(SystemExit):
            super().on_broken_pipe()


def display() -> Lines:
    """The display that fits standard output."""
    console = _Console(file=sys.stdout)
    return Bars(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)
