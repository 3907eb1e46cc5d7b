"""Markdown to HTML that is safe by construction.

Raw HTML in the source is shown as text, images other than embedded ones become links, links cannot carry scripts, and
formulas become MathML, so that a page needs no script and nothing from the network. A link to `#figure-NAME` or
`#table-NAME` shows that figure's or table's number, whatever its text is; one to `#term-NAME` leads to the glossary.
"""

import html
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from markupsafe import Markup
from mistune import HTMLRenderer
from nbconvert.filters.markdown_mistune import MarkdownWithMath

from kdlib.report.pages.formulas import mathml

TYPESET = {
    re.compile(r"(?<![^\s(\[])-(?=\d)"): "−",
    re.compile(r"(?<=\d) ?%(?!\w)"): "\u202f%",
    re.compile(r" ([=±]) (?=[−+]?\d)"): "\u00a0\\1\u00a0",  # a mean and its deviation, a name and its value
    re.compile(r"(\[[−+]?[\d.]+,) (?=[−+]?[\d.]+\])"): "\\1\u00a0",  # an interval
}


class PageError(Exception):
    """A notebook has an output that cannot be put on a page; the message says which."""


@dataclass
class Outline:
    """The headings of a page: the first of level 1 is its title, the others get anchors, each its own."""

    title: str = ""
    entries: list[dict] = field(default_factory=list)
    taken: set[str] = field(default_factory=lambda: {"cite", "contents", "glossary", "provenance", "report"})
    terms: set[str] = field(default_factory=set)  #: of the glossary, that the page links to

    def anchor(self, inner: str) -> str:
        """A new anchor for a heading, given by its HTML."""
        words = re.sub(r"[^\w]+", "-", text_of(inner).lower()).strip("-") or "section"
        anchor, number = words, 2
        while anchor in self.taken:
            anchor, number = f"{words}-{number}", number + 1
        self.taken.add(anchor)
        return anchor


class Markdown:
    """Renders the Markdown of one page; headings go to its `outline`.

    numbers: of figures and tables that have a name, by anchor, such as {"figure-ablation": "Figure 3"}.
    """

    def __init__(self, numbers: dict[str, str] | None = None):
        self.outline = Outline()
        self.outline.taken |= (numbers or {}).keys()
        self._parser = MarkdownWithMath(renderer=_Renderer(self.outline, numbers or {}))

    def block(self, source: str) -> Markup:
        """Markdown as HTML."""
        return Markup(self._parser.render(source))

    def inline(self, source: str) -> Markup:
        """A paragraph's HTML without its `<p>`, for a caption or note."""
        inner = str(self.block(" ".join(source.split()).lstrip("#"))).strip()
        return Markup(re.sub(r"^<p>(.*)</p>$", r"\1", inner, flags=re.S))


class _Renderer(HTMLRenderer):
    def __init__(self, outline, numbers):
        super().__init__(escape=True)
        self.outline, self.numbers = outline, numbers

    def heading(self, text, level, **attrs):
        if level == 1 and not self.outline.title:
            self.outline.title = text
            return ""
        level = max(level, 2)
        anchor = self.outline.anchor(text)
        self.outline.entries.append({"level": level, "anchor": anchor, "text": Markup(_without_links(text))})
        mark = f'<a class="anchor" href="#{anchor}" aria-label="Link to this section">#</a>'
        return f'<h{level} id="{anchor}">{text}{mark}</h{level}>\n'

    def text(self, text):
        return super().text(typeset(text))

    def link(self, text, url, title=None):
        if url.startswith(("#figure-", "#table-")):
            text = self._number(url[1:])
        elif url.startswith("#term-"):
            self.outline.terms.add(_known_term(url[1:]))
        tag = super().link(text, url, title)
        return tag if url.startswith("#") else tag.replace("<a ", '<a rel="noopener noreferrer" ', 1)

    def image(self, text, url, title=None):
        if url.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")):
            return super().image(text, url, title)
        return self.link(text or html.escape(url), url, title)

    def _number(self, anchor):
        if anchor not in self.numbers:
            kind, _, name = anchor.partition("-")
            expected = ", ".join(f"#{each}" for each in self.numbers) or "none"
            raise PageError(
                f"page: a link to #{anchor}, but no {kind} has this name: expected one of {expected}; "
                f'name it where it is displayed, with name="{name}"'
            )
        return self.numbers[anchor]

    def block_code(self, code, info=None):
        return super().block_code(code, info).replace("<pre", '<pre tabindex="0"', 1)

    def table(self, text):
        return f'<div class="scroll" tabindex="0" role="group">\n<table>\n{text}</table>\n</div>\n'

    def table_cell(self, text, align=None, head=False):
        tag = "th" if head else "td"
        css = f' class="{align}"' if align in ("left", "right", "center") else ""
        return f"<{tag}{css}>{text}</{tag}>\n"

    def block_math(self, body):
        return f'<div class="formula" tabindex="0" role="group" aria-label="Formula">{mathml(body, block=True)}</div>'

    def inline_math(self, body):
        return mathml(body)

    def latex_environment(self, name, body):
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    def paragraph(self, text):
        # A formula on its own line comes in a paragraph, which cannot hold a block.
        alone = text.startswith('<div class="formula"') and text.endswith("</div>")
        text = re.sub(
            r"(<math\b(?:(?!</math>).)*</math>[,.;:)?]+)", r'<span class="nowrap">\1</span>', text, flags=re.S
        )
        return f"{text}\n" if alone else super().paragraph(text)


@cache
def glossary() -> dict[str, str]:
    """The terms of `templates/glossary.md` by anchor, such as {"term-gate": "**Gate**: an estimate of ..."}."""
    lines = (Path(__file__).parent / "templates/glossary.md").read_text(encoding="utf-8").splitlines()
    terms = {re.match(r"\*\*(.+?)\*\*: ", line)[1]: line for line in lines if line}
    return {f"term-{re.sub('[^a-z]+', '-', name.lower())}": line for name, line in terms.items()}


def _known_term(anchor: str) -> str:
    if anchor not in glossary():
        expected = ", ".join(f"#{each}" for each in glossary())
        raise PageError(f"page: a link to #{anchor}, which is not in the glossary: expected one of {expected}")
    return anchor


def typeset(text: str) -> str:
    """Numbers as in print: a minus sign, a thin space before a percent sign, and no line break within them."""
    for pattern, replacement in TYPESET.items():
        text = pattern.sub(replacement, text)
    return text


def text_of(fragment: str) -> str:
    """The text of a piece of HTML; of a formula, its LaTeX."""
    fragment = re.sub(r'<math\b[^>]*?alttext="([^"]*)"[^>]*>.*?</math>', r"\1", fragment, flags=re.S)
    return html.unescape(re.sub(r"<[^>]*>", "", fragment)).strip()


def _without_links(fragment: str) -> str:
    return re.sub(r"</?a\b[^>]*>", "", fragment)
