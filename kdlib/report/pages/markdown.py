"""Markdown and formulas to HTML that is safe by construction.

Raw HTML in the source is shown as text, images other than embedded ones become links, links cannot
carry scripts, and formulas become MathML, so that a page needs no script and nothing from the network. A link to
`#figure-NAME` or `#table-NAME` reads as that figure's or table's number, whatever its text is.
"""

import html
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from latex2mathml.converter import convert_to_element
from markupsafe import Markup
from mistune import HTMLRenderer
from nbconvert.filters.markdown_mistune import MarkdownWithMath

MATHML = {
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "msup", "msub", "msubsup", "mfrac", "msqrt", "mroot",
    "munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom", "mmultiscripts",
}  # fmt: skip
MATHML_ATTRIBUTES = {
    "display", "mathvariant", "stretchy", "fence", "form", "width", "height", "depth", "accent", "accentunder",
    "linethickness", "columnalign", "rowspacing", "columnspacing", "displaystyle", "scriptlevel", "minsize", "maxsize",
    "class", "separator", "lspace", "rspace", "movablelimits", "largeop", "symmetric",
}  # fmt: skip
LEFT_OVER = {r"\|": "‖", r"\Vert": "‖", r"\vert": "|", r"\arg": "arg"}  #: what the converter does not know
SPACES = {"negativethinmathspace": "-0.167em", "thinmathspace": "0.167em", "mediummathspace": "0.222em"}
TYPESET = {
    re.compile(r"(?<![^\s(\[])-(?=\d)"): "−",
    re.compile(r"(?<=\d) ?%(?!\w)"): "\u202f%",
    re.compile(r" ([=±]) (?=[−+]?\d)"): "\u00a0\\1\u00a0",  # a mean and its deviation, a name and its value
    re.compile(r"(\[[−+]?[\d.]+,) (?=[−+]?[\d.]+\])"): "\\1\u00a0",  # an interval
}
ALIGNED = re.compile(r"\\(begin|end)\{(?:aligned|align|equation|gather|split|eqnarray)\*?\}")


class PageError(Exception):
    """A notebook shows something that cannot be put on a page."""


@dataclass
class Outline:
    """The headings of a page as they come: the first of level 1 is its title, the others get anchors."""

    title: str = ""
    entries: list[dict] = field(default_factory=list)
    taken: set[str] = field(default_factory=lambda: {"contents", "provenance", "report"})

    def anchor(self, inner: str) -> str:
        words = re.sub(r"[^\w]+", "-", text_of(inner).lower()).strip("-") or "section"
        anchor, number = words, 2
        while anchor in self.taken:
            anchor, number = f"{words}-{number}", number + 1
        self.taken.add(anchor)
        return anchor


class Markdown:
    """Renders the Markdown of one page; headings go to its `outline`.

    numbered: what figures and tables are called, by their anchors, such as {"figure-ladder": "Figure 3"}.
    """

    def __init__(self, numbered: dict[str, str] | None = None):
        self.outline = Outline()
        self.outline.taken |= (numbered or {}).keys()
        self._parser = MarkdownWithMath(renderer=_Renderer(self.outline, numbered or {}))

    def block(self, source: str) -> Markup:
        return Markup(self._parser.render(source))

    def inline(self, source: str) -> Markup:
        """A caption or note: Markdown without the paragraph around it."""
        inner = str(self.block(" ".join(source.split()).lstrip("#"))).strip()
        return Markup(re.sub(r"^<p>(.*)</p>$", r"\1", inner, flags=re.S))


class _Renderer(HTMLRenderer):
    def __init__(self, outline, numbered):
        super().__init__(escape=True)
        self.outline, self.numbered = outline, numbered

    def heading(self, text, level, **attrs):
        if level == 1 and not self.outline.title:
            self.outline.title = text
            return ""
        level = max(level, 2)
        anchor = self.outline.anchor(text)
        self.outline.entries.append({"level": level, "anchor": anchor, "text": Markup(_unlinked(text))})
        mark = f'<a class="anchor" href="#{anchor}" aria-label="Link to this section">#</a>'
        return f'<h{level} id="{anchor}">{text}{mark}</h{level}>\n'

    def text(self, text):
        return super().text(typeset(text))

    def link(self, text, url, title=None):
        if url.startswith(("#figure-", "#table-")):
            text = self._number(url[1:])
        tag = super().link(text, url, title)
        return tag if url.startswith("#") else tag.replace("<a ", '<a rel="noopener noreferrer" ', 1)

    def image(self, text, url, title=None):
        if url.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")):
            return super().image(text, url, title)
        return self.link(text or html.escape(url), url, title)

    def _number(self, anchor):
        if anchor not in self.numbered:
            kind, _, name = anchor.partition("-")
            there = ", ".join(f"#{each}" for each in self.numbered) or "none"
            raise PageError(
                f"page: a link to #{anchor}, but no {kind} has this name: expected one of {there}; "
                f'give it where it is shown, with name="{name}"'
            )
        return self.numbered[anchor]

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
        # A formula on its own line comes as a paragraph, and a block cannot stand in one.
        alone = text.startswith('<div class="formula"') and text.endswith("</div>")
        text = re.sub(
            r"(<math\b(?:(?!</math>).)*</math>[,.;:)?]+)", r'<span class="together">\1</span>', text, flags=re.S
        )
        return f"{text}\n" if alone else super().paragraph(text)


def typeset(text: str) -> str:
    """Numbers as they are printed: a minus sign, a thin space before a percent sign, and no line ends within one."""
    for pattern, replacement in TYPESET.items():
        text = pattern.sub(replacement, text)
    return text


def mathml(latex: str, block: bool = False) -> str:
    """A LaTeX formula as MathML; what cannot be converted is shown as it was written."""
    latex = latex.strip()
    try:
        source = ALIGNED.sub(lambda m: rf"\{m[1]}{{align*}}", latex)
        element = convert_to_element(source, display="block" if block else "inline")
        _clean(element)
    except Exception:  # the converter has a kind of its own for every mistake
        return f"<code>{html.escape(latex)}</code>"
    element.set("xmlns", "http://www.w3.org/1998/Math/MathML")
    element.set("alttext", latex)
    return ElementTree.tostring(element, encoding="unicode", short_empty_elements=False)


def _clean(element):
    """Keeps MathML and nothing else: the converter passes on markup, links and styles as it finds them.

    Raises `ValueError` for a command that the converter left as it was.
    """
    if element.tag not in MATHML:
        element.tag = "mrow"
    if (align := element.get("columnalign")) in ("left", "right"):
        element.set("class", align)  # browsers read this one
    for name in list(element.attrib):
        if name not in MATHML_ATTRIBUTES:
            del element.attrib[name]
    if (width := element.get("width")) in SPACES:
        element.set("width", SPACES[width])
    if element.text:
        text = html.unescape(element.text)
        element.text = LEFT_OVER.get(text, text)
        if element.tag != "mtext" and re.match(r"\\|&", element.text):
            raise ValueError(f"unknown command {element.text}")
    for child in element:
        _clean(child)
    _join_words(element)


def _join_words(element):
    """Upright words as one identifier, with a thin space before an argument without parentheses."""
    letters = [child.text or "" for child in element]
    if len(letters) > 1 and all(c.tag == "mi" and c.get("mathvariant") == "normal" for c in element):
        for child in list(element)[1:]:
            element.remove(child)
        element[0].text = "".join(letters)
        del element[0].attrib["mathvariant"]
    for child, following in reversed(list(zip(list(element), list(element)[1:], strict=False))):
        word = child.text or ""
        if child.tag in ("mi", "mo") and len(word) > 1 and word.isalpha():
            child.tag = "mi"
            if following.tag in ("mi", "mn", "msub", "msup", "msubsup", "mfrac"):
                place = list(element).index(child) + 1
                element.insert(place, ElementTree.Element("mspace", width=SPACES["thinmathspace"]))


def text_of(fragment: str) -> str:
    """A fragment's text; of a formula, its source."""
    fragment = re.sub(r'<math\b[^>]*?alttext="([^"]*)"[^>]*>.*?</math>', r"\1", fragment, flags=re.S)
    return html.unescape(re.sub(r"<[^>]*>", "", fragment)).strip()


def _unlinked(fragment: str) -> str:
    return re.sub(r"</?a\b[^>]*>", "", fragment)
