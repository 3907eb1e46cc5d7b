"""What a report displays while it runs: bars in a terminal, few lines elsewhere."""

import io

import pytest
from rich.console import Console

from kdlib.report import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless the test moves it."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def cell(number, heading="Direct training", name="near"):
    return {"name": name, "cell": number, "cells": 12, "heading": heading}


def training(epoch, task="ffnn", name="near"):
    return {"name": name, "task": task, "epoch": epoch, "epochs": 300}


def terminal(width=140):
    return progress.TerminalDisplay(Console(file=io.StringIO(), force_terminal=True, width=width))


def rows(display):
    """The live rows as text."""
    console = Console(file=io.StringIO(), width=display.console.width)
    console.print(*display.progress.get_renderables())
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_a_terminal_shows_runs_cells_epochs_and_the_time_left(clock):
    display = terminal()
    with display.running({"near": [], "far": []}):
        display.update(cell(4))
        display.update(training(20))
        clock[0] += 10
        display.update(training(70))
        runs, near = rows(display)
        assert runs.startswith("runs") and "0 of 2" in runs
        assert near.endswith("cell 4 of 12 · 10 s · Direct training · ffnn, epoch 70 of 300, 46 s left")
        display.update(training(5, task="teacher of domain 0"))
        assert "teacher of domain 0, epoch 5 of 300" in rows(display)[1] and "left" not in rows(display)[1]
        display.update(cell(5, "The teachers"))
        assert rows(display)[1].endswith("cell 5 of 12 · 10 s · The teachers")
        display.finish("near", "ok", "", 10.0)
        display.update(training(300))
        assert len(rows(display)) == 1 and "1 of 2" in rows(display)[0]


def test_the_time_left_comes_from_the_last_run_where_there_was_one(clock):
    display = terminal()
    with display.running({"near": [1.0, 30.0, 60.0]}):
        display.update(cell(2))
        display.update(training(10))
        clock[0] += 20
        display.update(training(90))
        assert rows(display)[-1].endswith("20 s, 1:10 left · Direct training · ffnn, epoch 90 of 300")


def test_a_narrow_terminal_keeps_the_times():
    display = terminal(width=70)
    with display.running({"near": [30.0, 30.0]}):
        display.update(cell(1, "A heading that is long"))
        display.update(training(10))
        assert "left" in rows(display)[-1] and len(rows(display)[-1]) <= 70


def test_a_log_has_a_line_for_start_and_end():
    log = progress.LogDisplay(Console(file=io.StringIO(), width=200))
    with log.running({}):
        for event in (cell(1), cell(2), training(1), training(2)):
            log.update(event)
        log.finish("near", "ok", "", 75.0)
    assert log.console.file.getvalue() == "near: started\nnear: ok after 1:15\n"
