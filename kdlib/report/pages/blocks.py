"""What a page shows, from an executed notebook: blocks in the order of the page, figures and tables with numbers.

It is made from the metadata of `kdlib.display`, from Markdown and from plain text; HTML in a notebook's outputs is
never used. Out of scope: how blocks look, which is in `templates`.
"""

import base64
import binascii
import csv
import io
import json
import re
from collections import Counter
from urllib.parse import quote

from markupsafe import Markup
from nbconvert.filters.highlight import Highlight2HTML

from kdlib.display import EXPLORER_MIME, IMAGES
from kdlib.report.pages.markdown import Markdown, PageError, typeset

MAX_ROWS = 60  #: of a figure's data on the page; its CSV has all
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def in_page_order(cells: list) -> list:
    """Cells in the order of the page: the title, then those tagged `lead`, which a notebook computes last.

    A cell of Markdown tagged `optional` is left out if no cell up to the next one of Markdown has an output.
    """
    tags = [set(cell.metadata.get("tags", [])) for cell in cells]
    has_output, kept = False, []
    for cell, own in reversed(list(zip(cells, tags, strict=True))):
        if cell.cell_type != "markdown":
            has_output |= bool(cell.get("outputs"))
        elif "optional" in own and not has_output:
            continue
        else:
            has_output = False
        kept.append((cell, own))
    return [
        cell for cell, own in sorted(reversed(kept), key=lambda each: each[0] is not cells[0] and "lead" not in each[1])
    ]


def number_figures(nb) -> dict[str, str]:
    """Writes the `anchor` and `number` of figures and tables into their metadata; returns the numbers of named ones."""
    counts, named = Counter(), {}
    for meta in (output.get("metadata", {}).get("kdlib") for cell in nb.cells for output in cell.get("outputs", [])):
        if not meta or (kind := meta.get("kind")) not in ("figure", "table"):
            continue
        counts[kind] += 1
        name = meta.get("name")
        meta["anchor"] = f"{kind}-{name or counts[kind]}"
        meta["number"] = f"{kind.capitalize()}\N{NO-BREAK SPACE}{counts[kind]}"
        if name and meta["anchor"] in named:
            raise PageError(f"page: expected a name of its own for each {kind}, got {name!r} twice")
        named |= {meta["anchor"]: meta["number"]} if name else {}
    return named


class BlockBuilder:
    """Turns a notebook into the blocks of its page: dicts, which the template tells apart by their `kind`."""

    def __init__(self, markdown: Markdown):
        self.markdown = markdown

    def build(self, nb) -> list[dict]:
        """All blocks, in order."""
        blocks = []
        for cell in nb.cells:
            if cell.cell_type == "markdown":
                style = next(iter({"box", "screen"} & set(cell.metadata.get("tags", []))), "")
                blocks.append({"kind": "prose", "html": self.markdown.block(cell.source), "style": style})
            elif cell.cell_type == "code" and cell.source.strip():
                code, label = Markup(Highlight2HTML()(cell.source)), _label(cell)
                if blocks and blocks[-1]["kind"] == "code":  # cells without output between them share a fold
                    fold = blocks[-1]
                    fold["html"] += code
                    fold["labels"] += [label] if label not in fold["labels"] else []
                else:
                    blocks.append({"kind": "code", "html": code, "labels": [label]})
                blocks += [block for output in cell.outputs for block in self.output(output)]
        return blocks

    def output(self, output) -> list[dict]:
        """The blocks of one output: one, or none."""
        if output.output_type == "stream":
            return _text_blocks(output.text, "warning" if output.name == "stderr" else "output")
        if output.output_type == "error":
            return _text_blocks(f"{output.ename}: {output.evalue}", "warning")
        meta = output.metadata.get("kdlib", {})
        kind = meta.get("kind")
        if kind == "caption":  # the figure before it has it too
            return []
        if kind == "figure":
            return [self.figure(output.data, meta)]
        if kind == "table":
            return [self.table(meta)]
        if kind == "explorer":
            return [{"kind": "explorer", "scenes": as_json(output.data[EXPLORER_MIME])}]
        if "text/markdown" in output.data:
            html = self.markdown.block(output.data["text/markdown"])
            return [{"kind": "claim" if kind == "claim" else "prose", "html": html}]
        plain = output.data.get("text/plain", "")
        for mime in ("image/png", "image/jpeg"):
            if mime in output.data:
                return [{"kind": "image", "source": _data_url(mime, output.data[mime]), "alt": plain or "Figure"}]
        return _text_blocks(plain, "output")

    def figure(self, data, meta) -> dict:
        """A figure's block, from its images by type and its metadata."""
        images = [
            {"style": style, "source": _data_url("image/webp", data[IMAGES[style]]), "size": size}
            for style, size in meta["sizes"].items()
        ]
        images.sort(key=lambda image: len(image["style"]) * (image["style"] != "light"))
        return {
            "kind": "figure",
            "anchor": meta["anchor"],
            "number": meta["number"],
            "image": images[0],
            "others": images[:0:-1],  # a browser takes the first that fits: the most special
            "data": meta.get("data") and self.data(meta["data"]),
            "alt": meta["alt"],
            "caption": self.markdown.inline(meta["caption"]),
        }

    def data(self, data) -> dict:
        """The table of what a figure draws, from its `columns` and `rows`; the page shows the first, the CSV all."""
        shown = [
            [{"text": "" if cell is None else typeset(str(cell))} for cell in row] for row in data["rows"][:MAX_ROWS]
        ]
        columns = [{"text": column} for column in data["columns"]]
        return {
            "columns": columns,
            "rows": shown,
            "count": len(data["rows"]),
            "csv": _csv(data["columns"], data["rows"]),
        }

    def table(self, meta) -> dict:
        """A table's block, from its metadata."""
        marks = {tuple(mark) for mark in meta.get("marks", [])}
        numeric = meta.get("numeric") or [False] * len(meta["columns"])
        rows = [
            [{"text": typeset(text), "best": (r, c) in marks, "numeric": numeric[c]} for c, text in enumerate(row)]
            for r, row in enumerate(meta["rows"])
        ]
        return {
            "kind": "table",
            "anchor": meta["anchor"],
            "number": meta["number"],
            "caption": self.markdown.inline(meta["caption"]),
            "columns": [{"text": typeset(t), "numeric": n} for t, n in zip(meta["columns"], numeric, strict=True)],
            "rows": rows,
            "heads": meta.get("heads", 0),
            "csv": _csv(meta["columns"], meta["rows"]),
            "note": self.markdown.inline(meta.get("note") or ""),
        }


def as_json(value) -> Markup:
    """JSON that cannot end the element it stands in."""
    return Markup(json.dumps(value).replace("<", "\\u003c"))


def _csv(columns, rows) -> str:
    """A table as a data URL of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return f"data:text/csv;charset=utf-8,{quote(text.getvalue(), safe=',.+ :;()[]')}"


def _label(cell) -> str:
    """The title of folded code: its opening comment, if it has one."""
    if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])):
        return "Parameters"
    comment = re.match(r"# *(\S.*)", cell.source)
    return comment[1] if comment else "Code"


def _text_blocks(text: str, style: str) -> list[dict]:
    text = ANSI.sub("", text).strip("\n")
    return [{"kind": "text", "text": text, "style": style}] if text.strip() else []


def _data_url(mime: str, data: str) -> str:
    encoded = "".join(data.split())
    try:
        base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise PageError(f"page: an image is not base64: {error}") from None
    return f"data:{mime};base64,{encoded}"
