"""An executed notebook as one HTML file that needs nothing else: no network, no library; it reads without scripts too.

The page is made from what cells mean (`kdlib.display`'s metadata), from Markdown and from plain text; HTML that
a notebook put out is never used. nbconvert carries the template and colours the code.
"""

import base64
import binascii
import hashlib
import json
import re
from collections import Counter
from datetime import datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import nbformat
from markupsafe import Markup
from nbconvert.exporters import TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML

from kdlib.display import DARK_MIME, EXPLORER_MIME
from kdlib.report import manifest
from kdlib.report.pages.markdown import Markdown, PageError, text_of, typeset

TEMPLATES = Path(__file__).parent / "templates"
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class PageExporter(TemplateExporter):
    """nbconvert with the project's own template, which escapes all that is not marked as safe."""

    file_extension = ".html"
    output_mimetype = "text/html"
    template_name = "page"

    def __init__(self):
        super().__init__(extra_template_basedirs=[str(TEMPLATES)])

    def _create_environment(self):
        environment = super()._create_environment()
        environment.autoescape = True
        environment.trim_blocks = environment.lstrip_blocks = True
        return environment


@cache
def _exporter() -> PageExporter:
    """One for all pages: it compiles its template once."""
    return PageExporter()


def page(notebook: bytes, record: dict, links: dict) -> str:
    """The page of an executed notebook; `record` is its manifest, `links` come from `links.navigation`."""
    nb = nbformat.reads(notebook.decode("utf-8"), as_version=4)
    try:
        markdown = Markdown(number(nb))
        blocks = Blocks(markdown).of(nb)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PageError(f"page: an output does not have the form that kdlib.display gives it: {error!r}") from error
    css, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    title = markdown.outline.title or "Report"
    context = {
        "css": Markup(css),
        "script": Markup(script),
        "policy": f"default-src 'none'; img-src data:; style-src {_sum(css)}; script-src {_sum(script)}; "
        "base-uri 'none'; form-action 'none'",
        "key": manifest.page_key(links),
        "title": Markup(title),
        "title_text": text_of(title),
        "blocks": blocks,
        "contents": [entry for entry in markdown.outline.entries if entry["level"] <= 3],
        "links": links,
        "groups": [list(group) for _, group in groupby(links["reports"], lambda run: run["name"].partition("/")[0])],
        "record": record,
        "started": datetime.fromisoformat(record["started"]),
        "code_digest": manifest.code_digest(record["hashes"].get("code")),
    }
    return _exporter().from_notebook_node(nb, resources={"page": context})[0]


def number(nb) -> dict[str, str]:
    """Writes each figure's and table's `anchor` and `number` into its metadata; returns the numbers of the named."""
    counts, named = Counter(), {}
    for meaning in (output.get("metadata", {}).get("kdlib") for cell in nb.cells for output in cell.get("outputs", [])):
        if not meaning or (kind := meaning.get("kind")) not in ("figure", "table"):
            continue
        counts[kind] += 1
        name = meaning.get("name")
        meaning["anchor"] = f"{kind}-{name or counts[kind]}"
        meaning["number"] = f"{kind.capitalize()}\N{NO-BREAK SPACE}{counts[kind]}"
        if name and meaning["anchor"] in named:
            raise PageError(f"page: expected a name of its own for each {kind}, got {name!r} twice")
        named |= {meaning["anchor"]: meaning["number"]} if name else {}
    return named


class Blocks:
    """What a notebook shows, in order: a list of dicts that the template knows by their `kind`."""

    def __init__(self, markdown: Markdown):
        self.markdown = markdown

    def of(self, nb) -> list[dict]:
        blocks = []
        for cell in nb.cells:
            if cell.cell_type == "markdown":
                blocks.append({"kind": "prose", "html": self.markdown.block(cell.source)})
            elif cell.cell_type == "code" and cell.source.strip():
                code, label = Markup(Highlight2HTML()(cell.source)), _label(cell)
                if blocks and blocks[-1]["kind"] == "code":  # cells that showed nothing are one fold
                    fold = blocks[-1]
                    fold["html"] += code
                    fold["labels"] += [label] if label not in fold["labels"] else []
                else:
                    blocks.append({"kind": "code", "html": code, "labels": [label]})
                blocks += [block for output in cell.outputs for block in self.shown(output)]
        return blocks

    def shown(self, output) -> list[dict]:
        if output.output_type == "stream":
            return _text(output.text, "warning" if output.name == "stderr" else "output")
        if output.output_type == "error":
            return _text(f"{output.ename}: {output.evalue}", "warning")
        meaning = output.metadata.get("kdlib", {})
        kind = meaning.get("kind")
        if kind == "caption":  # the figure before it has brought it along
            return []
        if kind == "figure":
            return [self.figure(output.data, meaning)]
        if kind == "table":
            return [self.table(meaning)]
        if kind == "explorer":
            scenes = json.dumps(output.data[EXPLORER_MIME])
            return [{"kind": "explorer", "scenes": Markup(scenes.replace("<", "\\u003c"))}]
        if "text/markdown" in output.data:
            html = self.markdown.block(output.data["text/markdown"])
            return [{"kind": "claim" if kind == "claim" else "prose", "html": html}]
        plain = output.data.get("text/plain", "")
        for mime in ("image/png", "image/jpeg"):
            if mime in output.data:
                return [{"kind": "image", "source": _embedded(mime, output.data[mime]), "alt": plain or "Figure"}]
        return _text(plain, "output")

    def figure(self, data, meaning) -> dict:
        dark = data.get(DARK_MIME)
        return {
            "kind": "figure",
            "anchor": meaning["anchor"],
            "number": meaning["number"],
            "source": _embedded("image/png", data["image/png"]),
            "dark": dark and _embedded("image/png", dark),
            "data": quote(meaning.get("data") or ""),
            "alt": meaning["alt"],
            "caption": self.markdown.inline(meaning["caption"]),
            "width": int(meaning.get("width", 0)),
            "height": int(meaning.get("height", 0)),
        }

    def table(self, meaning) -> dict:
        marks = {tuple(mark) for mark in meaning.get("marks", [])}
        numeric = meaning.get("numeric") or [False] * len(meaning["columns"])
        rows = [
            [{"text": typeset(text), "best": (r, c) in marks, "numeric": numeric[c]} for c, text in enumerate(row)]
            for r, row in enumerate(meaning["rows"])
        ]
        return {
            "kind": "table",
            "anchor": meaning["anchor"],
            "number": meaning["number"],
            "caption": self.markdown.inline(meaning["caption"]),
            "columns": [{"text": typeset(t), "numeric": n} for t, n in zip(meaning["columns"], numeric, strict=True)],
            "rows": rows,
            "heads": meaning.get("heads", 0),
            "note": self.markdown.inline(meaning.get("note") or ""),
        }


def _sum(content: str) -> str:
    """What the policy calls a style or script that may stand in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode('utf-8')).digest()).decode('ascii')}'"


def _label(cell) -> str:
    """What folded code is called: its opening comment, if it has one."""
    if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])):
        return "Parameters"
    comment = re.match(r"# *(\S.*)", cell.source)
    return comment[1] if comment else "Code"


def _text(text: str, style: str) -> list[dict]:
    text = ANSI.sub("", text).strip("\n")
    return [{"kind": "text", "text": text, "style": style}] if text.strip() else []


def _embedded(mime: str, data: str) -> str:
    encoded = "".join(data.split())
    try:
        base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise PageError(f"page: an image is not base64: {error}") from None
    return f"data:{mime};base64,{encoded}"
