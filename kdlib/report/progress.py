"""What a run shows while it works: live bars in a terminal, a line at each start and end elsewhere.

How long a run will still take is told from its cells' times in the last good run with the same
parameters; without one, cells are counted and no time is promised.
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
    began: float = field(default_factory=time.monotonic)
    cell: int = 0  #: counted from 1; 0 before the first
    of: int = 1
    cell_began: float = field(default_factory=time.monotonic)

    def enter(self, cell: int, of: int):
        self.cell, self.of, self.cell_began = cell, of, time.monotonic()

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
        """A cell begins: name, cell, of, heading."""
        if event["cell"] == 1:
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
        self.expected = expected
        with self.progress:
            yield

    def event(self, event):
        name = event["name"]
        if name not in self.tasks:
            course = self.courses[name] = Course(self.expected.get(name, []))
            self.tasks[name] = self.progress.add_task("", total=1.0, name=shown(name), heading="", course=course)
        self.courses[name].enter(event["cell"], event["of"])
        self.progress.update(self.tasks[name], heading=event["heading"])

    def ended(self, name, status, reason, seconds):
        if name in self.tasks:
            self.progress.remove_task(self.tasks.pop(name))
        mark, style = ("✓", "green") if status == "ok" else ("✗", "red")
        line = Text.assemble((f"{mark} ", style), f"{shown(name)}  {clock(seconds)}")
        if reason:
            line.append(f"  {status}: {shown(reason)}", style)
        self.console.print(line, soft_wrap=True)


class CourseColumn(ProgressColumn):
    """`cell 4 of 12 · Training · 0:31, 1:10 to go`"""

    max_refresh = 0.2

    def render(self, task):
        course = task.fields["course"]
        left = course.remaining()
        to_go = f", {clock(left)} to go" if left is not None else ""
        heading = f" · {shown(task.fields['heading'])}" if task.fields["heading"] else ""
        text = f"cell {course.cell} of {course.of}{heading} · {clock(time.monotonic() - course.began)}{to_go}"
        return Text(text, style="dim", overflow="ellipsis", no_wrap=True)


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
