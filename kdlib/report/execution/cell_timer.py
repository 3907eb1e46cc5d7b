"""When each cell of a notebook began, and which cell a run has reached."""

import re
import time


class CellTimer:
    """Records when each cell began and the heading above it, and reports progress.

    name: of the run; start: `time.monotonic()` when it began; report: called with each progress event, a dict.
    """

    def __init__(self, name, start, report):
        self.name, self.start, self.report = name, start, report
        self.starts, self.headings = [], []
        self.trainings = {"trained": {}, "reused": {}}  #: how many of each task are done

    def callback(self, nb):
        """What papermill calls at the start of each cell of `nb`."""

        def on_cell_start(cell, cell_index):
            now = time.monotonic()
            if cell.cell_type == "markdown" and (found := re.findall(r"^#{1,6} +(.+?)[ #]*$", cell.source, re.M)):
                heading = found[-1]
            else:
                heading = self.headings[-1] if self.headings else ""
            self.headings.append(heading)
            self.starts.append(now)
            # Papermill adds the cell of injected parameters after `nb` was passed in.
            event = {"cell": cell_index + 1, "cells": len(nb.cells) + 1, "heading": heading}
            self.report({"name": self.name, "seconds": now - self.start} | event)

        return on_cell_start

    def on_training(self, event: dict):
        """Counts a training that is done, and reports the progress of one that is not reused: task, epoch, epochs."""
        task, epoch, epochs = (event[name] for name in ("task", "epoch", "epochs"))
        if epoch == epochs:
            done = self.trainings["reused" if event["reused"] else "trained"]
            done[task] = done.get(task, 0) + 1
        if not event["reused"]:
            self.report({"name": self.name, "task": task, "epoch": epoch, "epochs": epochs})

    def describe(self, index: int = -1) -> str:
        """The cell that began last, or the one at `index`: `cell 6 (Direct training)`."""
        if not self.starts:
            return "before the first cell"
        number = index % len(self.starts) + 1 if index < len(self.starts) else index + 1
        heading = self.headings[min(number, len(self.headings)) - 1]
        return f"cell {number} ({heading})" if heading else f"cell {number}"

    def cell_seconds(self) -> list[dict]:
        """Heading and seconds of each cell that began; the last one ends now."""
        ends = [*self.starts[1:], time.monotonic()]
        return [
            {"heading": heading, "seconds": round(end - start, 3)}
            for heading, start, end in zip(self.headings, self.starts, ends, strict=False)
        ]
