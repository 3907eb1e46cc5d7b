"""The pages of a real report in a real Chromium: accessibility, keyboard, small screens, dark mode, print."""

import shutil

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright
from run_report import FIVE_KEYS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
PAGES = ("index.html", "near/report.html", f"{FIVE_KEYS}/report.html")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: install Debian's package chromium"),
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, report):
    """Opens a page of the report; afterwards checks that the console is empty and that nothing else was requested."""
    contexts, messages, requests = [], [], []

    def opened(name, **settings):
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((report / name).as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert messages == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert len({url for url in requests if url.startswith("file:")}) <= len(contexts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_accessible(opened, name, width, scheme):
    page = opened(name, color_scheme=scheme, viewport={"width": width, "height": 900})
    if name == "index.html":
        page.wait_for_selector(".explorer:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"rules": {"target-size": {"enabled": True}}})  # of WCAG 2.2, else it is left out
    assert found.violations_count == 0, found.generate_report()


def test_the_contents_link_to_sections_and_follow_the_reader(opened):
    page = opened("near/report.html", viewport={"width": 1280, "height": 900})
    links = page.locator(".contents a")
    assert links.count() > 5
    for i in (links.count() // 2, 1):
        links.nth(i).click()
        target = page.locator(f"[id='{links.nth(i).get_attribute('href')[1:]}']")
        page.wait_for_function("id => Math.abs(document.getElementById(id).getBoundingClientRect().top) < 300",
                               arg=target.get_attribute("id"))  # fmt: skip
        page.wait_for_function("i => document.querySelectorAll('.contents a')[i].ariaCurrent === 'true'", arg=i)
        assert page.locator(".contents a[aria-current]").count() == 1
        assert links.nth(i).is_visible()


def test_code_is_hidden_until_it_is_asked_for(opened):
    page = opened("near/report.html")
    folds = page.locator("details.code")
    assert folds.count() > 10 and not folds.first.is_visible()
    button = page.get_by_role("button", name="Show code")
    button.click()
    assert page.locator("details.code[open]").count() == folds.count() and folds.first.locator("pre").first.is_visible()
    button.press("Enter")
    assert not folds.first.is_visible()


def test_code_can_be_copied(opened):
    page = opened("near/report.html", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").last.click()  # the reference to be cited
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith("@misc{kdlib-report,")


def test_a_figure_opens_in_full_size_by_mouse_and_by_keyboard(opened):
    page = opened("near/report.html")
    figure, dialog = page.locator("figure .zoom").first, page.locator("dialog")
    figure.click()
    assert dialog.is_visible()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()
    figure.press("Enter")
    assert dialog.locator("img").bounding_box()["width"] >= figure.locator("img").bounding_box()["width"]
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_the_data_of_a_figure_and_a_table_are_saved_as_csv(opened):
    page = opened("near/report.html")
    page.locator("#figure-differences summary").click()
    assert page.locator("#figure-differences details table").is_visible()
    for name in ("figure-differences", "table-accuracies"):
        with page.expect_download() as download:
            page.locator(f"#{name} [download$=csv]").click()
        assert download.value.suggested_filename == f"{name}.csv"
        assert len(pd.read_csv(download.value.path())) > 5


def test_a_figure_is_saved_as_it_is_shown(opened):
    page = opened("near/report.html", color_scheme="dark")
    with page.expect_download() as download:
        page.get_by_role("link", name="Figure 2 as PNG").press("Enter")
    assert download.value.suggested_filename == "figure-teachers.png"
    with Image.open(download.value.path()) as saved:
        shown = page.locator("#figure-teachers img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
        assert list(saved.size) == shown and saved.convert("RGB").getpixel((0, 0)) == (0x15, 0x17, 0x1B)


def test_light_and_dark_can_be_chosen(opened):
    page = opened("near/report.html", color_scheme="light")
    shown = "document.querySelector('figure img').currentSrc"
    paper = "getComputedStyle(document.body).backgroundColor"
    light, light_paper = page.evaluate(shown), page.evaluate(paper)
    page.get_by_role("button", name="Dark").click()
    page.wait_for_function(f"before => {shown} !== before", arg=light)
    assert page.evaluate(paper) != light_paper
    page.reload()
    assert page.evaluate(paper) != light_paper  # it is remembered
    page.get_by_role("button", name="Dark").click()
    page.wait_for_function(f"before => {shown} === before", arg=light)


def test_terms_and_references_show_what_they_mean(opened):
    page = opened("index.html", viewport={"width": 1280, "height": 900})
    preview, term = page.locator("#preview"), page.locator("main a[href='#term-gate']").first
    assert not preview.is_visible()
    term.hover()
    preview.wait_for()
    assert "P(k | x)" in preview.inner_text() and term.get_attribute("aria-describedby") == "preview"
    page.keyboard.press("Escape")
    preview.wait_for(state="hidden")
    page.locator("main :is(p, li) a[href='#figure-ablation']").first.focus()
    preview.locator("img").wait_for()
    page.wait_for_timeout(500)  # the page has scrolled away from the pointer, which leaves the term
    assert preview.locator("img").is_visible()


def test_a_term_is_explained_by_a_tap(opened):
    page = opened("index.html", viewport={"width": 390, "height": 800}, has_touch=True)
    page.locator("main a[href='#term-gate']").first.tap()
    page.locator("#preview").wait_for()
    assert "P(k | x)" in page.locator("#preview").inner_text() and not page.url.endswith("#term-gate")


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_no_figure_scrolls_sideways(opened, name):
    page = opened(name, viewport={"width": 390, "height": 800})
    for image in page.locator("figure img").all():
        box = image.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert page.evaluate("[...document.querySelectorAll('figure img')].every((i) => i.currentSrc !== i.src)")


SECOND_HEADING = """scroll => scroll.querySelectorAll("tbody td:nth-child(2)").forEach((cell) => {
    const heading = document.createElement("th");
    heading.append(...cell.childNodes);
    cell.replaceWith(heading);
})"""


@pytest.mark.parametrize("headings", [1, 2])
def test_on_a_phone_a_table_that_scrolls_keeps_its_headings(opened, headings):
    page = opened("index.html", viewport={"width": 390, "height": 800})
    tables = page.locator("figure.table .scroll:has(> table:not(.turned) tbody th)").all()
    wide = next(each for each in tables if each.evaluate("table => table.scrollWidth > table.clientWidth + 60"))
    if headings == 2:
        wide.evaluate(SECOND_HEADING)
    row = wide.locator("tbody tr").first
    cells = [*row.locator("th").all(), row.locator("td").first]
    assert len(cells) == headings + 1
    before = [cell.bounding_box()["x"] for cell in cells]
    wide.evaluate("table => { table.scrollLeft = 60 }")
    moved = [cell.bounding_box()["x"] - x for cell, x in zip(cells, before, strict=True)]
    assert moved == pytest.approx([0] * headings + [-60], abs=3)


def explorer_of(page):
    page.wait_for_selector(".explorer:not([hidden])")
    return page.locator(".explorer")


def test_the_explorer_changes_pictures_and_numbers_by_keyboard_and_mouse(opened):
    page = opened("index.html")
    explorer = explorer_of(page)

    def changed(before):
        state = "[...document.querySelectorAll('.explorer canvas')].map((canvas) => canvas.toDataURL()).join()"
        page.wait_for_function(f"before => {state} !== before", arg=before)
        return page.evaluate(state)

    page.locator("[name=dataset]").select_option(label="near")
    state = changed("")
    assert "Decides as Bayes on" in explorer.locator(".readout").first.inner_text()
    page.locator("[name=seed]").press("ArrowRight")
    state = changed(state)
    page.locator("[name=right]").select_option("ffnn")
    state = changed(state)
    training = page.locator("[name=training]")
    training.press("Home")
    state = changed(state)
    assert page.locator("[name=seed]").input_value() == "0" and training.get_attribute("aria-valuetext") == "1/64"
    assert "After 1 of " in explorer.locator(".readout").last.inner_text()
    page.locator("[name=seed]").press("ArrowRight")
    state = changed(state)
    assert training.get_attribute("aria-valuetext") == "finished"
    assert "Difference from the left" in explorer.locator(".readout").last.inner_text()
    page.locator("[name=dataset]").select_option(label=FIVE_KEYS)
    state = changed(state)
    cells = explorer.locator("td").all_inner_texts()
    explorer.locator("canvas").first.press("ArrowUp")
    changed(state)
    page.locator("[name=temperature]").press("End")
    page.wait_for_function(
        "[...document.querySelectorAll('.explorer th')].some((th) => th.textContent.endsWith('T = 10'))"
    )
    assert explorer.locator("td").all_inner_texts() != cells
    page.reload()
    explorer_of(page)
    assert page.locator("[name=right]").input_value() == "ffnn" and page.locator("[name=seed]").input_value() == "1"
    assert page.locator("[name=dataset] option:checked").inner_text() == FIVE_KEYS


def test_the_explorers_numbers_are_those_of_the_results(opened, report):
    from kdlib.evaluation import results

    page = opened("index.html")
    explorer = explorer_of(page)
    frame = results.read(report / "results.csv")
    name, method = (
        page.locator("[name=dataset] option:checked").inner_text(),
        page.locator("[name=right]").input_value(),
    )
    values = results.select(frame, dataset=name, method=method, split="fresh").set_index("seed")["value"]
    text = explorer.locator(".readout").last.inner_text()
    assert f"fresh points: {values[0]:.2%}".replace("%", "\u202f%") in text
    assert f"mean of all seeds {values.mean():.2%}".replace("%", "\u202f%") in text


def test_a_page_is_complete_without_scripts(opened):
    page = opened("index.html", java_script_enabled=False)
    for hidden in (".explorer", ".unfold", ".theme"):
        assert not page.locator(hidden).is_visible()
    assert page.locator("figure img").count() == 4
    assert page.locator("details.code").first.is_visible()


def test_print_omits_navigation_code_and_what_needs_a_screen(opened):
    page = opened("index.html")
    explorer_of(page)
    page.emulate_media(media="print")
    for hidden in (".contents", ".tools", "details.code >> nth=0", ".masthead nav", ".explorer", ".screen"):
        assert not page.locator(hidden).is_visible()
    assert page.locator("figure img").first.is_visible()
    assert page.locator("figure.table").first.evaluate("each => getComputedStyle(each).breakInside") == "auto"
    assert b"/StructTreeRoot" in page.pdf(format="A4", tagged=True)


def test_references_link_to_the_figures_whose_numbers_they_show(opened):
    page = opened("near/report.html")
    links = page.locator("main :is(p, li) a[href^='#figure-'], main :is(p, li) a[href^='#table-']")
    assert links.count() > 5
    for i in range(links.count()):
        target = page.locator(f"[id='{links.nth(i).get_attribute('href')[1:]}']")
        assert target.locator("figcaption .number").inner_text().startswith(links.nth(i).inner_text())
    links.last.click()
    page.wait_for_function("() => document.querySelector(':target').getBoundingClientRect().top < innerHeight")
