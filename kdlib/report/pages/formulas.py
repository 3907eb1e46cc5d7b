"""LaTeX formulas as MathML that is safe to put on a page, and typeset as TeX would.

latex2mathml converts; it passes on markup, links and styles as it finds them, so that its result is reduced to MathML
here. The same walk over its elements corrects what browsers would set wrongly.
"""

import html
import re
import xml.etree.ElementTree as ElementTree

from latex2mathml.converter import convert_to_element

TAGS = {
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "msup", "msub", "msubsup", "mfrac", "msqrt", "mroot",
    "munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom", "mmultiscripts",
}  # fmt: skip
ATTRIBUTES = {
    "display", "mathvariant", "stretchy", "fence", "form", "width", "height", "depth", "accent", "accentunder",
    "linethickness", "columnalign", "rowspacing", "columnspacing", "displaystyle", "scriptlevel", "minsize", "maxsize",
    "class", "separator", "lspace", "rspace", "movablelimits", "largeop", "symmetric",
}  # fmt: skip
THIN_SPACE = "0.167em"
ALIGNED = re.compile(r"\\(begin|end)\{(?:aligned|align|equation|gather|split|eqnarray)\*?\}")


def mathml(latex: str, block: bool = False) -> str:
    """A formula as MathML; what cannot be converted is shown as it was written."""
    latex = latex.strip()
    try:
        source = ALIGNED.sub(lambda m: rf"\{m[1]}{{align*}}", latex)
        element = convert_to_element(source, display="block" if block else "inline")
        _clean(element)
    except Exception:  # the converter has an exception of its own for each mistake
        return f"<code>{html.escape(latex)}</code>"
    element.set("xmlns", "http://www.w3.org/1998/Math/MathML")
    element.set("alttext", latex)
    return ElementTree.tostring(element, encoding="unicode", short_empty_elements=False)


def _clean(element):
    """Reduces an element to MathML; raises ValueError for a command that the converter did not know."""
    if element.tag not in TAGS:
        element.tag = "mrow"
    if (align := element.get("columnalign")) in ("left", "right"):
        element.set("class", align)  # for the page's style: browsers ignore the attribute
    for name in list(element.attrib):
        if name not in ATTRIBUTES:
            del element.attrib[name]
    if element.get("width") == "negativethinmathspace":  # browsers ignore the name
        element.set("width", f"-{THIN_SPACE}")
    if element.text:
        element.text = html.unescape(element.text)
        if element.tag != "mtext" and re.match(r"\\|&", element.text):
            raise ValueError(f"unknown command {element.text}")
    for child in element:
        _clean(child)
    _join_words(element)


def _join_words(element):
    """Joins upright letters to a word, and puts a thin space between a word and an argument without parentheses."""
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
                element.insert(place, ElementTree.Element("mspace", width=THIN_SPACE))
