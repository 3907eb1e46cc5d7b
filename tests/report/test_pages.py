"""Pages need nothing but themselves, show what the notebook displayed, and show hostile text as text."""

import base64
import io
import json
import re
from urllib.parse import unquote

import nbformat
import numpy as np
import pandas as pd
import pytest
from lxml import etree, html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from kdlib import display
from kdlib.plots.images import encode
from kdlib.report.pages import render as pages
from kdlib.report.pages.blocks import MAX_ROWS
from kdlib.report.pages.formulas import mathml
from kdlib.report.pages.markdown import Markdown

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
RECORD = {
    "name": f"data_{HOSTILE}",
    "status": "ok",
    "reason": "",
    "started": "2026-01-02T03:04:05+00:00",
    "seconds": 1.5,
    "parameters": {"seeds": 30, "epochs": 300, "hidden": [64, 32], "draft": False},
    "hashes": {"data": "0" * 64, "code": {"kdlib/settings.py": "1" * 64}},
    "environment": {"python": "3.12", "versions": {"numpy": "2"}, "cpu": "CPU", "threads": 1, "platform": "Linux"},
    "git": {"commit": "a" * 40, "dirty": True},
}
SCRIPT = (pages.TEMPLATES / "page.js").read_text(encoding="utf-8")
UP = {"up": "../index.html", "reports": [], "seeds": 30, "epochs": 300, "command": "python -m kdlib.report run"}


@pytest.fixture
def displayed(monkeypatch):
    """What `kdlib.display` displays, as notebook outputs."""
    outputs = []

    def publish(data, metadata):
        outputs.append(new_output("display_data", data=data, metadata=metadata))

    monkeypatch.setattr(display, "publish_display_data", publish)
    return outputs


def page(*cells, record=RECORD, links=UP):
    """The page of a notebook, as text and as a tree."""
    text = pages.render_page(nbformat.writes(new_notebook(cells=list(cells))).encode(), record, links)
    return text, html.fromstring(text)


def figure(caption="A *caption*.", alt="An alt text.", **more):
    from matplotlib.figure import Figure

    made = Figure(figsize=(3, 2))
    made.subplots().plot([1, 2])
    data = more.pop("data", None)
    display.figure(encode({"light": made}, data) | {"caption": caption, "alt": alt}, **more)


def test_a_page_loads_nothing_and_runs_no_script_of_a_notebook(displayed):
    figure(caption=HOSTILE, alt=f'"{HOSTILE}')
    display.table(pd.DataFrame({HOSTILE: [HOSTILE]}), caption=HOSTILE, note=HOSTILE)
    display.claim(f"{HOSTILE} and [a link](javascript:alert(1)) ![picture](https://example.org/x.png)")
    displayed.append(new_output("display_data", data={"text/html": HOSTILE, "text/plain": HOSTILE}))
    displayed.append(new_output("display_data", data={"image/svg+xml": HOSTILE, "application/javascript": "alert(3)"}))
    displayed.append(new_output("stream", name="stderr", text=f"\x1b[31m{HOSTILE}"))
    source = f"# {HOSTILE}\nprint('{HOSTILE}')"
    text, tree = page(
        new_markdown_cell(f"# Title {HOSTILE}\n\n## Part {HOSTILE}\n\n<iframe src='https://example.org'></iframe>"),
        new_markdown_cell(r"$\href{javascript:alert(1)}{x}$ $\text{<script>alert(1)</script>}$ `<b>`"),
        new_code_cell(source, outputs=displayed),
    )
    linked, script = tree.xpath("//script")
    assert linked.get("type") == "application/ld+json" and script.text_content() == SCRIPT
    assert json.loads(linked.text_content())["about"] == RECORD["name"]
    assert not tree.xpath("//iframe | //link | //object | //embed | //*[@onerror] | //*[@style] | //base")
    assert [src[:22] for src in tree.xpath("//@src")] == ["data:image/webp;base64"]
    assert not re.search(r"url\(|@import", text.split("</style>")[0])
    assert all(re.match(r"#|\.\./|https:|data:text/csv;", link) for link in tree.xpath("//@href"))
    policy = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-") and "unsafe" not in policy
    assert policy.split(";")[3].split()[0] == "script-src" and policy.split(";")[3].count("'sha256-") == 1
    assert tree.text_content().count("<script>alert(1)</script>") >= 12
    assert text.startswith("<!DOCTYPE html>") and len(text) < 3_000_000


def test_the_policy_allows_only_the_page_s_own_style_and_script():
    import hashlib

    text, _ = page(new_markdown_cell("# T"))
    for tag in ("style", "script"):
        own = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.S)[1]
        assert base64.b64encode(hashlib.sha256(own.encode()).digest()).decode() in text.split("<style>")[0]


def test_an_explorer_s_data_cannot_end_its_element(displayed):
    display.explorer({"datasets": [{"name": f"</script>{HOSTILE}"}], "titles": {}, "colours": {}})
    _, tree = page(new_code_cell("x", outputs=displayed))
    _, data, script = tree.xpath("//script")
    assert data.get("type") == "application/json" and script.text_content() == SCRIPT
    assert json.loads(data.text_content())["datasets"][0]["name"] == f"</script>{HOSTILE}"
    displayed.clear()
    display.explorer({"datasets": []})
    assert not displayed


def test_figures_and_tables_are_numbered_captioned_and_described(displayed):
    figure()
    figure("Second.", "Other.")
    frame = pd.DataFrame(
        {"accuracy": [0.5, 0.98765, None], "5%": [1, 2, 3]}, index=pd.Index(["a", "b", "c"], name="method")
    )
    display.table(frame, "Results.", digits=3, best={"accuracy": "max"}, note="A *note*.")
    _, tree = page(new_code_cell("x", outputs=displayed))
    assert tree.xpath("//figure[@id='figure-1']//img/@alt") == ["An alt text."]
    captions = [" ".join(caption.text_content().split()) for caption in tree.xpath("//figcaption")]
    assert captions == ["Figure 1 A caption.", "Figure 2 Second.", "Table 1 Results. CSV"]
    (link,) = tree.xpath("//figcaption/a[@download='table-1.csv']/@href")
    assert unquote(link.partition(",")[2]) == "method,accuracy,5%\na,0.500,1\nb,0.988,2\nc,–,3\n"
    rows = [[cell.text_content() for cell in row] for row in tree.xpath("//table//tr")]
    assert rows == [["method", "accuracy", "5\u202f%"], ["a", "0.500", "1"], ["b", "0.988", "2"], ["c", "–", "3"]]
    assert tree.xpath("//td[contains(@class, 'best')]/strong/text()") == ["0.988"]
    assert tree.xpath("//td[@class='number']") and tree.xpath("//tbody//th[@scope='row']/text()") == ["a", "b", "c"]
    assert tree.xpath("//p[@class='note']/em/text()") == ["note"]


def page_with_references(displayed, prose):
    """The page of some prose, two figures and two tables, of which the second ones have names."""
    figure()
    figure(name="ablation")
    display.table(pd.DataFrame({"x": [1]}), "First, beside [that](#figure-ablation).")
    display.table(pd.DataFrame({"x": [1]}), "Second.", name="scores")
    return page(new_markdown_cell(prose), new_code_cell("x", outputs=displayed))[1]


def test_prose_refers_to_figures_and_tables_by_name_and_shows_their_numbers(displayed):
    prose = "# T\n## See [it](#figure-ablation)\n\n[The ablation](#figure-ablation), [](#table-scores)."
    tree = page_with_references(displayed, prose)
    assert [link.text_content() for link in tree.xpath("//main/p/a")] == ["Figure\u00a02", "Table\u00a02"]
    for link in tree.xpath("//main/p/a | //main//h2/a[not(@class)] | //figcaption/a[not(@class)]"):
        (target,) = tree.xpath(f"//figure[@id='{link.get('href')[1:]}']")
        assert target.xpath("figcaption/a[@class='number']")[0].text_content() == link.text_content()
    assert tree.xpath("//figcaption/a[not(@class)]/text()") == ["Figure\u00a02"]
    assert tree.xpath("//nav[@class='contents']//a/text()")[0] == "See Figure\u00a02"


@pytest.mark.parametrize(
    ("prose", "message"),
    [
        (
            "[x](#figure-ablaton)",
            'no figure has this name: expected one of #figure-ablation, #table-scores; .*name="ablaton"',
        ),
        ("[x](#table-ablation)", "no table has this name"),
        ("[x](#figure-2)", "no figure has this name"),  # a number changes with the order
    ],
)
def test_a_reference_to_nothing_is_an_error(displayed, prose, message):
    with pytest.raises(pages.PageError, match=message):
        page_with_references(displayed, prose)


def test_a_figure_s_data_are_a_table_of_its_first_rows_and_a_csv_of_all(displayed):
    frame = pd.DataFrame({"x": range(100), "y": [np.nan, *[1 / 3] * 99], "<b>": "a,b"})
    figure(data=frame)
    _, tree = page(new_code_cell("x", outputs=displayed))
    rows = tree.xpath("//figure//details//tbody/tr")
    assert len(rows) == MAX_ROWS and [cell.text_content() for cell in rows[1]] == ["1", "0.333333", "a,b"]
    assert "The first 60 of 100 rows" in tree.xpath("//figure//details")[0].text_content()
    (link,) = tree.xpath("//figure//a[@download='figure-1.csv']/@href")
    back = pd.read_csv(io.StringIO(unquote(link.partition(",")[2])))
    pd.testing.assert_frame_equal(back, frame, rtol=1e-5)


def test_a_term_of_the_glossary_is_explained_on_the_page_that_links_to_it():
    _, tree = page(new_markdown_cell("# T\nA [gate](#term-gate)."))
    (term,) = tree.xpath("//section[@class='glossary']/p")
    assert term.get("id") == "term-gate" and "P(k | x)" in term.text_content()
    assert not page(new_markdown_cell("# T"))[1].xpath("//section[@class='glossary']")
    with pytest.raises(pages.PageError, match="#term-gat, which is not in the glossary: expected one of #term-alpha"):
        page(new_markdown_cell("[gate](#term-gat)"))


def tagged(tag, source):
    return new_markdown_cell(source, metadata={"tags": [tag]})


def test_the_lead_comes_first_and_sections_without_an_output_are_not_shown(displayed):
    display.claim("Shown.")
    output = new_code_cell("x", outputs=displayed)
    _, tree = page(
        new_markdown_cell("# T"), tagged("optional", "## Empty"), new_code_cell("x"), tagged("optional", "## Full"),
        output, new_markdown_cell("## Always"), tagged("lead", "## First"), tagged("box", "## Limits"),
    )  # fmt: skip
    headings = [heading.text_content().strip("#") for heading in tree.xpath("//main//h2")]
    assert headings == ["First", "Full", "Always", "Limits"]
    assert [box.xpath("h2/text()") for box in tree.xpath("//section[@class='box']")] == [["Limits"]]


def test_a_dataset_s_page_bears_its_name_and_leads_to_its_neighbours():
    sides = {
        side: {"name": name, "href": f"../{name}/report.html"} for side, name in (("previous", "a"), ("next", "c"))
    }
    around = UP | sides
    _, tree = page(new_markdown_cell("# Title"), record=RECORD | {"name": "b"}, links=around)
    assert tree.xpath("//h1/text()") == ["b"] and "Title" in tree.xpath("//p[@class='facts']")[0].text_content()
    assert tree.xpath("//a[@rel='prev']/@href") == ["../a/report.html"]
    assert tree.xpath("//a[@rel='next']/@href") == ["../c/report.html"]
    _, study = page(new_markdown_cell("# Title"), record=RECORD | {"name": "b/controls"})
    assert study.xpath("//h1/text()") == ["Title"] and not study.xpath("//a[@rel]")


def test_a_page_can_be_cited():
    _, tree = page(new_markdown_cell("# T"), record=RECORD | {"name": "b"})
    cited = {meta.get("name"): meta.get("content") for meta in tree.xpath("//meta[starts-with(@name, 'citation')]")}
    assert cited["citation_title"] == "T – b" and cited["citation_publication_date"] == "2026/01/02"
    assert "title  = {T – b}" in tree.xpath("//pre[@class='cite']")[0].text_content()


def test_names_are_plain_and_unique(displayed):
    with pytest.raises(ValueError, match="name: expected lower-case letters, digits and hyphens"):
        figure(name="2")
    figure(name="ablation")
    with pytest.raises(pages.PageError, match="expected a name of its own for each figure, got 'ablation' twice"):
        page_with_references(displayed, "x")


def test_figures_are_the_same_bytes_each_time_and_closed(displayed):
    figure()
    figure()
    first, caption, second, _ = displayed
    assert first.data["image/png"] == second.data["image/png"]
    assert caption.metadata["kdlib"] == {"kind": "caption"}
    from PIL import Image

    width, height = Image.open(io.BytesIO(base64.b64decode(first.data["image/png"]))).size
    assert first.metadata["image/png"] == {"width": width // 2, "height": height // 2}


@pytest.mark.parametrize(("caption", "alt"), [("", "alt"), ("caption", " "), ("caption", None)])
def test_a_figure_without_caption_or_alt_text_is_refused(caption, alt):
    with pytest.raises(ValueError, match="expected a sentence"):
        figure(caption, alt)


def test_best_may_be_a_frame_and_must_fit(displayed):
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0]})
    display.table(frame, "T.", best=frame > 1.5, formats={"x": ".1%"})
    assert displayed[0].metadata["kdlib"]["marks"] == [[0, 1], [1, 0], [1, 1]]
    assert displayed[0].metadata["kdlib"]["rows"] == [["100.0%", "3.0000"], ["200.0%", "4.0000"]]
    assert "★" in displayed[0].data["text/plain"] and "★" in displayed[0].data["text/html"]
    with pytest.raises(ValueError, match="shape"):
        display.table(frame, "T.", best=frame[["x"]])
    with pytest.raises(ValueError, match="'max' or 'min'"):
        display.table(frame, "T.", best={"x": "most"})


def test_ties_have_no_star_and_a_table_without_rows_is_not_shown(displayed):
    display.table(pd.DataFrame({"x": [1.0, 1.00001, 0.5], "y": [1.0, 2.0, 0.0]}), "T.", best={"x": "max", "y": "max"})
    assert displayed.pop().metadata["kdlib"]["marks"] == [[1, 1]]
    display.table(pd.DataFrame({"x": []}), "T.")
    assert not displayed


@pytest.mark.parametrize(("rows", "scrolls"), [(30, []), (300, ["scroll tall"])])
def test_a_long_table_scrolls(displayed, rows, scrolls):
    display.table(pd.DataFrame({"x": range(rows)}), "T.")
    _, tree = page(new_code_cell("pass", outputs=displayed))
    assert tree.xpath("//div[contains(@class, 'tall')]/@class") == scrolls
    assert len(tree.xpath("//tbody/tr")) == rows


def test_literal_keeps_markdown_s_signs():
    name = "a_b*c*[d](e) `f` $g$ <h> # ~i~ |j| \\ !"
    assert html.fromstring(Markdown().block(display.literal(name))).text_content().strip() == name


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("-0.5 [-1, -2], 29% of (-3)", "−0.5 [−1,\u00a0−2], 29\u202f% of (−3)"),
        ("0.5 ± 0.1, T = 4, 95 % [0, +1]", "0.5\u00a0±\u00a00.1, T\u00a0=\u00a04, 95\u202f% [0,\u00a0+1]"),
        ("a = b, `T = 4`, [x, y], 100 of", "a = b, T = 4, [x, y], 100 of"),
        ("data-0.5 of 2026-01-02, 3-5, a - b, `-1 5%`", "data-0.5 of 2026-01-02, 3-5, a - b, -1 5%"),
    ],
)
def test_numbers_are_typeset_and_names_and_code_are_not(text, printed):
    assert html.fromstring(Markdown().block(text)).text_content().strip() == printed


def test_code_without_output_shares_a_fold(displayed):
    parameters = [
        new_code_cell(f"x = {i}", metadata={"tags": [tag]})
        for i, tag in enumerate(("parameters", "injected-parameters"))
    ]
    figure()
    _, tree = page(
        *parameters, new_code_cell("import a"), new_code_cell("b()", outputs=displayed), new_code_cell("c = 1")
    )
    assert tree.xpath("//details/summary/text()") == ["Parameters · Code", "Code"]


def test_contents_lead_to_headings_and_code_is_folded():
    cells = [new_markdown_cell("# Title\n## Same\n## Same\n### Sub $x^2$\n#### Deep"), new_code_cell("# Do it\nx = 1")]
    _, tree = page(*cells)
    targets = tree.xpath("//nav[@class='contents']//a/@href")
    assert targets == ["#same", "#same-2", "#sub-x-2", "#cite", "#provenance"]
    assert all(tree.xpath(f"//*[@id='{target[1:]}']") for target in targets)
    assert tree.xpath("//h1")[0].text_content() == "Title" and tree.xpath("//html/@lang") == ["en"]
    assert tree.xpath("//details[not(@open)]/summary/text()") == ["Do it"]
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))


def test_a_draft_is_marked():
    draft = RECORD | {"parameters": {"draft": True}}
    assert page(new_markdown_cell("# T"), record=draft)[1].xpath("//aside[@class='draft']")
    assert not page(new_markdown_cell("# T"))[1].xpath("//aside[@class='draft']")


def test_provenance_is_on_the_page():
    text = page(new_markdown_cell("# T"))[1].xpath("//footer")[0].text_content()
    for part in (
        "2026-01-02 03:04",
        "python -m kdlib.report run",
        "a" * 40,
        "uncommitted",
        "0" * 64,
        "numpy 2",
        "64, 32",
        "CPU, 1 thread",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\mathrm{KL}(p \| q)", "KL(p‖q)"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "a=bc=d"),
        (r"\log p", "logp"),
        (r"\sum_k P(k \mid x)\,T_k(x)", "∑kP(k∣x)Tk(x)"),
    ],
)
def test_formulas_become_mathml(latex, text):
    tree = etree.fromstring(mathml(latex))
    assert tree.tag.endswith("math") and "".join(tree.itertext()) == text and tree.get("alttext") == latex


@pytest.mark.parametrize("latex", [r"\nosuchcommand x", "a & b", "{", r"\left( x"])
def test_what_cannot_be_converted_is_shown_as_written(latex):
    assert html.fromstring(mathml(latex)).text_content() == latex and mathml(latex).startswith("<code>")


def test_a_malformed_output_is_a_clear_error():
    output = new_output("display_data", data={"image/png": "!"}, metadata={"kdlib": {"kind": "table"}})
    with pytest.raises(pages.PageError, match=r"kdlib\.display"):
        page(new_code_cell("x", outputs=[output]))
    output = new_output("display_data", data={"image/png": "not base64!"})
    with pytest.raises(pages.PageError, match="base64"):
        page(new_code_cell("x", outputs=[output]))


def test_progress_in_a_notebook_shows_the_task_and_leaves_nothing(capfd):
    report = display.progress()
    for task in ("ffnn", "teacher of domain 0"):
        for epoch in range(1, 4):
            report(task, epoch, 3)
    printed = capfd.readouterr().err
    assert "ffnn" in printed and "teacher of domain 0" in printed and "3/3" not in printed.splitlines()[-1:]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "run --data=/home/me/my --seeds=3 --hidden=8,4 --methods=/home/me/mine.py --draft --study --jobs=2",
            "run --data=my --seeds=3 --hidden=8,4 --methods=mine.py --draft --study",
        ),
        ("sweep /home/me/a.yaml --alpha=0.25", "sweep a.yaml --data=data --alpha=0.25"),
    ],
)
def test_the_command_asks_for_the_same_and_names_no_machine(words, expected):
    from kdlib.report import command_line

    given = command_line.parser().parse_args(words.split())
    assert command_line.command(given) == f"python -m kdlib.report {expected}"


def test_a_sweep_s_page_shows_no_single_setting():
    facts = page(new_markdown_cell("# T"), links={"up": None, "reports": [], "command": "x"})[1].xpath(
        "//p[@class='facts']"
    )[0]
    assert "seed" not in facts.text_content()
