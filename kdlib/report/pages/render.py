"""An executed notebook as one HTML file that needs nothing else: no network, no library, and no script to be read.

Its content is from `blocks`; nbconvert applies the template, which is in `templates`.
"""

import base64
import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

import nbformat
from markupsafe import Markup
from nbconvert.exporters import TemplateExporter

from kdlib.report import manifest
from kdlib.report.pages.blocks import BlockBuilder, as_json, in_page_order, number_figures
from kdlib.report.pages.markdown import Markdown, PageError, glossary, text_of

TEMPLATES = Path(__file__).parent / "templates"


class PageExporter(TemplateExporter):
    """nbconvert with the project's own template, which escapes everything that is not marked as safe."""

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
    """One exporter for all pages, since it compiles its template."""
    return PageExporter()


def render_page(notebook: bytes, record: dict, links: dict) -> str:
    """The page of an executed notebook; `record` is its manifest, `links` are from `navigation.page_links`.

    Raises PageError if it has an output, or a link to a figure, that cannot be put on a page.
    """
    nb = nbformat.reads(notebook.decode("utf-8"), as_version=4)
    nb.cells = in_page_order(nb.cells)
    try:
        markdown = Markdown(number_figures(nb))
        blocks = BlockBuilder(markdown).build(nb)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PageError(f"page: an output does not have the form that kdlib.display gives it: {error!r}") from error
    css, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    title, terms = markdown.outline.title or "Report", frozenset(markdown.outline.terms)
    context = {
        "css": Markup(css),
        "script": Markup(script),
        "policy": f"default-src 'none'; img-src data:; style-src {_source_hash(css)}; "
        f"script-src {_source_hash(script)}; base-uri 'none'; form-action 'none'",
        "key": manifest.page_key(links),
        "title": Markup(title),
        "title_text": text_of(title),
        "is_dataset": bool(links["up"]) and "/" not in record["name"],
        "terms": {anchor: markdown.inline(text) for anchor, text in glossary().items() if anchor in terms},
        "blocks": blocks,
        "linked_data": as_json(
            {
                "@context": "https://schema.org",
                "@type": "Report",
                "name": text_of(title),
                "datePublished": record["started"],
                "author": {"@type": "Organization", "name": "The kdlib developers"},
                "about": record["name"],
            }
        ),
        "contents": [entry for entry in markdown.outline.entries if entry["level"] <= 3],
        "links": links,
        "record": record,
        "started": datetime.fromisoformat(record["started"]),
        "code_digest": manifest.combined_digest(record["hashes"].get("code", {})),
    }
    return _exporter().from_notebook_node(nb, resources={"page": context})[0]


def _source_hash(content: str) -> str:
    """How the Content-Security-Policy names a style or script that the page may contain."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode('utf-8')).digest()).decode('ascii')}'"
