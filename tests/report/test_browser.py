"""The pages of a real report in a real Chromium: accessibility, keyboard, small screens, dark mode, print."""

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from run_report import FIVE_KEYS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
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
    assert sum(url.startswith("file:") and "#" not in url for url in requests) == len(contexts)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_accessible(opened, name, width, scheme):
    page = opened(name, color_scheme=scheme, viewport={"width": width, "height": 900})
    if name == "index.html":
        page.wait_for_selector(".explorer:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


def test_the_contents_link_to_sections_and_follow_the_reader(opened):
    page = opened("near/report.html", viewport={"width": 1280, "height": 900})
    links = page.locator(".contents a")
    assert links.count() > 10
    for i in (links.count() // 2, 1):
        links.nth(i).click()
        target = page.locator(f"[id='{links.nth(i).get_attribute('href')[1:]}']")
        page.wait_for_function("id => Math.abs(document.getElementById(id).getBoundingClientRect().top) < 300",
                               arg=target.get_attribute("id"))  # fmt: skip
        page.wait_for_function("i => document.querySelectorAll('.contents a')[i].ariaCurrent === 'true'", arg=i)
        assert page.locator(".contents a[aria-current]").count() == 1
        assert links.nth(i).is_visible()


def test_code_is_folded_one_by_one_and_all_at_once(opened):
    page = opened("near/report.html")
    folds = page.locator("details.code")
    assert page.locator("details.code[open]").count() == 0
    folds.first.locator("summary").press("Enter")
    assert folds.first.locator("pre").first.is_visible()
    button = page.get_by_role("button", name="Show all code")
    button.click()
    assert page.locator("details.code[open]").count() == folds.count() > 10
    button.press("Enter")
    assert page.locator("details.code[open]").count() == 0


def test_the_explorer_changes_picture_and_numbers_by_keyboard_and_mouse(opened):
    page = opened("index.html")
    page.wait_for_selector(".explorer:not([hidden])")

    def state():
        return page.locator(".readout").inner_text(), page.evaluate("document.querySelector('canvas').toDataURL()")

    def changed(before):
        page.wait_for_function("text => document.querySelector('.readout').textContent !== text", arg=before[0])
        after = state()
        assert after[1] != before[1]
        return after

    seen = state()
    assert "on near, seed 0" in seen[0] and "accuracy" in seen[0] and "with Bayes" in seen[0]
    seed, dataset = page.locator("[name=seed]"), page.locator("[name=dataset]")
    seed.press("ArrowRight")
    seen = changed(seen)
    assert "seed 1" in seen[0]
    dataset.press("ArrowLeft")
    seen = changed(seen)
    assert f"on {FIVE_KEYS}, seed 1" in seen[0]
    page.locator("[name=method]").select_option("ffnn")
    seen = changed(seen)
    assert seen[0].startswith("FFNN on")
    seed.click(position={"x": 2, "y": 8})
    assert "seed 0" in changed(seen)[0]


def test_the_explorers_numbers_are_those_of_the_results(opened, report):
    from kdlib.evaluation import results

    page = opened("index.html")
    page.wait_for_selector(".explorer:not([hidden])")
    frame = results.select(
        results.read(report / "results.csv"), dataset="near", method="kd_kernel_teachers", split="fresh"
    )
    own, mean = frame.set_index("seed")["value"][0], frame["value"].mean()
    text = page.locator(".readout").inner_text()
    assert f"accuracy {own:.2%}".replace("%", " %") in text
    assert f"mean of all seeds {mean:.2%}".replace("%", " %") in text


def test_a_page_is_complete_without_scripts(opened):
    page = opened("index.html", java_script_enabled=False)
    assert not page.locator(".explorer").is_visible()
    assert not page.locator(".unfold").is_visible()
    assert page.locator("figure img").count() == 4
    assert page.locator("details.code").first.is_visible()


def test_print_omits_navigation_and_code(opened):
    page = opened("near/report.html")
    page.emulate_media(media="print")
    for hidden in (".contents", ".unfold", "details.code >> nth=0", ".masthead nav"):
        assert not page.locator(hidden).is_visible()
    assert page.locator("figure img").first.is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_references_link_to_the_figures_whose_numbers_they_show(opened):
    page = opened("near/report.html")
    links = page.locator("main :is(p, li) a[href^='#figure-'], main :is(p, li) a[href^='#table-']")
    assert links.count() > 10
    for i in range(links.count()):
        target = page.locator(f"[id='{links.nth(i).get_attribute('href')[1:]}']")
        assert target.locator("figcaption .number").inner_text().startswith(links.nth(i).inner_text())
    links.last.click()
    page.wait_for_function("() => document.querySelector(':target').getBoundingClientRect().top < innerHeight")
