"""What a run shows while it works: bars in a terminal, few lines elsewhere."""

import io

import pytest
from rich.console import Console

from kdlib.report import progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only if told to."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def cell(number, heading="Direct training", name="near"):
    return {"name": name, "cell": number, "of": 12, "heading": heading}


def training(epoch, task="ffnn", name="near"):
    return {"name": name, "task": task, "epoch": epoch, "epochs": 300}


def terminal(width=140):
    return progress.Bars(Console(file=io.StringIO(), force_terminal=True, width=width))


def rows(bars):
    """The live rows as text."""
    console = Console(file=io.StringIO(), width=bars.console.width)
    console.print(*bars.progress.get_renderables())
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_a_terminal_tells_runs_methods_epochs_and_the_time_left(clock):
    bars = terminal()
    with bars.live({"near": [], "far": []}):
        bars.event(cell(4))
        bars.event(training(20))
        clock[0] += 10
        bars.event(training(70))
        runs, near = rows(bars)
        assert runs.startswith("runs") and "0 of 2" in runs
        assert near.endswith("cell 4 of 12 · 10 s · Direct training · ffnn, epoch 70 of 300, 46 s left")
        bars.event(training(5, task="teacher of domain 0"))
        assert "teacher of domain 0, epoch 5 of 300" in rows(bars)[1] and "left" not in rows(bars)[1]
        bars.event(cell(5, "The teachers"))
        assert rows(bars)[1].endswith("cell 5 of 12 · 10 s · The teachers")
        bars.ended("near", "ok", "", 10.0)
        bars.event(training(300))
        assert len(rows(bars)) == 1 and "1 of 2" in rows(bars)[0]


def test_what_the_last_run_took_tells_the_time_left_of_this_one(clock):
    bars = terminal()
    with bars.live({"near": [1.0, 30.0, 60.0]}):
        bars.event(cell(2))
        bars.event(training(10))
        clock[0] += 20
        bars.event(training(90))
        assert rows(bars)[-1].endswith("20 s, 1:10 to go · Direct training · ffnn, epoch 90 of 300")


def test_a_narrow_terminal_keeps_the_times():
    bars = terminal(width=70)
    with bars.live({"near": [30.0, 30.0]}):
        bars.event(cell(1, "A heading that is long"))
        bars.event(training(10))
        assert "to go" in rows(bars)[-1] and len(rows(bars)[-1]) <= 70


def test_a_log_has_a_line_for_start_and_end():
    log = progress.Lines(Console(file=io.StringIO(), width=200))
    with log.live({}):
        for event in (cell(1), cell(2), training(1), training(2)):
            log.event(event)
        log.ended("near", "ok", "", 75.0)
    assert log.console.file.getvalue() == "near: started\nnear: ok after 1:15\n"
