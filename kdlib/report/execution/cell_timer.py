"""When each cell of a notebook began, and where a run is, for people."""

import re
import time


class CellTimer:
    """When each cell began, and the heading that it stands under."""

    def __init__(self, name, begin, progress):
        self.name, self.begin, self.progress = name, begin, progress
        self.began, self.headings, self.end = [], [], None

    def start(self, nb):
        def on_cell_start(cell, cell_index):
            now = time.monotonic()
            if cell.cell_type == "markdown" and (found := re.findall(r"^#{1,6} +(.+?)[ #]*$", cell.source, re.M)):
                heading = found[-1]
            else:
                heading = self.headings[-1] if self.headings else ""
            self.headings.append(heading)
            self.began.append(now)
            # Papermill adds the cell of injected parameters, after `nb` was passed in.
            event = {"cell": cell_index + 1, "of": len(nb.cells) + 1, "heading": heading, "seconds": now - self.begin}
            self.progress({"name": self.name} | event)

        return on_cell_start

    def training(self, told: dict):
        self.progress({"name": self.name} | told)

    def where(self, index: int = -1) -> str:
        """The cell that ran last, or the one at `index`, for people."""
        if not self.began:
            return "before the first cell"
        number = index % len(self.began) + 1 if index < len(self.began) else index + 1
        heading = self.headings[min(number, len(self.headings)) - 1]
        return f"cell {number} ({heading})" if heading else f"cell {number}"

    def finished(self) -> list[dict]:
        ends = [*self.began[1:], time.monotonic()]
        return [
            {"heading": heading, "seconds": round(end - began, 3)}
            for heading, began, end in zip(self.headings, self.began, ends, strict=False)
        ]
