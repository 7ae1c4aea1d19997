"""The QC report in a real browser: sorting, filters, keys, layers, review status, and names that are not trusted.

Run by `make test-browser`, apart from the other tests, since users of the scripts need no browser.
"""

import numpy as np
import pytest

from utils.evaluation.cases import Case, compare
from utils.inference.labeller import Prediction
from utils.report.report import Report
from utils.scans.names import read_names

EVIL = "<img src=x onerror=document.title='broken'>"


def prediction(levels, confidence, attention=True):
    count = len(levels)
    points = np.stack([40.0 + 30 * np.arange(count), np.full(count, 60.0)], -1)
    certain = np.full(count, confidence)
    rng = np.random.default_rng(0)
    return Prediction(
        np.array(levels, int), points, np.zeros(count), certain, certain, certain, 9.0, rng.random((24, 50, 30)),
        rng.random((50, 30)) if attention else None, 0,
    )  # fmt: skip


def add(report, name, levels, confidence, true=None, remarks=()):
    found = prediction(levels, confidence)
    texts = {
        "place": name, "name": name, "subject": name[:6], "contrast": "T2w", "source": "here", "weights": "w",
    }  # fmt: skip
    image = np.random.default_rng(1).random((200, 120)).astype(np.float32)
    if true is None:
        return report.add(texts, image, found, 1.0)
    points = np.stack([42.0 + 30 * np.arange(len(true)), np.full(len(true), 60.0)], -1)
    beside = np.zeros(len(true))
    case = Case(name, name[:6], "T2w", "here", np.array(true), points, found.levels, found.points, found.confidence,
                np.zeros(26), beside, found.across)  # fmt: skip
    return report.add(texts, image, found, 1.0, case, compare(case, list(range(2, 26))), remarks)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    report = Report(folder)
    add(report, "sub-02_T2w", [21, 22, 23], 0.95, [21, 22, 23])
    add(report, "sub-10_T2w", [22, 23, 24], 0.60, [21, 22, 23], ["shifted chain"])  # one level off throughout
    add(report, "sub-01_T2w", [21], 0.30)  # without a truth
    add(report, EVIL, [], 0.5)
    failed = {"place": "f", "name": "sub-99_T2w", "subject": "sub-99", "contrast": "T2w", "source": "here"}
    report.add_failed({**failed, "weights": "w"}, "it is damaged", folder / "sub-99_T2w.nii")
    report.write(f"Test {EVIL}", [("weights", EVIL)], [("identified", "50 %")])
    return folder / "report.html"


@pytest.fixture
def page(open_page, page_file):
    return open_page(page_file)


def names(page):
    return page.locator("#table tbody button.name").all_text_contents()


def test_the_table_sorts_by_every_column(page):
    assert names(page) == [EVIL, "sub-01_T2w", "sub-02_T2w", "sub-10_T2w", "sub-99_T2w"]
    page.get_by_role("button", name="Scan", exact=True).click()
    assert names(page)[0] == "sub-99_T2w"
    page.get_by_role("button", name="Lowest confidence").click()
    # What has no confidence comes last, either way.
    assert names(page)[:3] == ["sub-01_T2w", "sub-10_T2w", "sub-02_T2w"]
    page.get_by_role("button", name="Lowest confidence").click()
    assert names(page)[:3] == ["sub-02_T2w", "sub-10_T2w", "sub-01_T2w"]
    page.get_by_role("button", name="Mean error, mm").click()
    assert names(page)[0] == "sub-02_T2w"
    assert page.locator("th[aria-sort=ascending]").count() == 1
    for column, last in (("Discs found", "3"), ("Flags", "shifted chain"), ("Subject", "sub-99"), ("Contrast", "T2w"),
                         ("Source", "here"), ("Review", "")):  # fmt: skip
        button = page.locator("#table th").get_by_role("button", name=column)
        button.click()
        button.click()
        place = page.locator("#table th").all_text_contents().index(column)
        assert last in page.locator("#table tbody tr").first.locator("td").nth(place).text_content()


def test_filters_leave_the_flagged_scans(page):
    page.get_by_label("Show").select_option("shifted chain")
    assert names(page) == ["sub-10_T2w"]
    page.get_by_label("Show").select_option("failed")
    assert names(page) == ["sub-99_T2w"]
    page.get_by_label("Show").select_option("")
    page.get_by_label("Find").fill("sub-0")
    assert names(page) == ["sub-01_T2w", "sub-02_T2w"]
    assert page.locator("#count").text_content() == "2 of 5"


def test_keys_choose_open_flag_and_close(page):
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#viewer-title").text_content() == "sub-02_T2w"
    page.keyboard.press("ArrowDown")
    assert page.locator("#viewer-title").text_content() == "sub-10_T2w"
    page.keyboard.press("f")
    assert page.get_by_label("to correct").is_checked()
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    status = page.locator("#table tr[aria-current] .cell-review")
    assert status.text_content() == "to correct"
    for key, expected in (("g", "good"), ("b", "bad"), ("f", "to correct"), ("f", "")):
        page.keyboard.press(key)
        assert status.text_content() == expected


def test_keys_go_on_after_a_layer_was_switched_and_from_the_search(page):
    page.get_by_text("sub-02_T2w").first.click()
    page.get_by_label("heatmaps").check()
    page.keyboard.press("ArrowDown")
    assert page.locator("#viewer-title").text_content() == "sub-10_T2w"
    page.keyboard.press("Escape")
    # The focus went with the choice: Enter opens what is chosen, not what was clicked.
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.locator("#viewer-title").text_content() == "sub-02_T2w"
    page.keyboard.press("Escape")
    page.get_by_label("Find").fill("sub-1")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.locator("#viewer-title").text_content() == "sub-10_T2w"
    page.get_by_label("Note").press_sequentially("fg b")  # letters in a note are no keys
    page.keyboard.press("Escape")
    assert page.locator("#table tr[aria-current] .cell-review").text_content() == ""


def test_a_chain_one_level_off_is_seen_on_the_slice(page):
    page.get_by_text("sub-10_T2w").first.click()
    stage = page.locator("#stage")
    assert stage.locator("text.lost").all_text_contents() == ["L1-L2", "L2-L3", "L3-L4"]
    assert stage.locator("text.name").all_text_contents()[0] == "L2-L3  60 % ✕"
    assert "0 of 3 true discs identified" in page.locator("#summary").text_content()
    assert page.locator("#summary .flag").first.get_attribute("title")
    # The true names are as readable where the slice is narrow: nothing is cut off.
    inside = "s => [...s.querySelectorAll('text')].every(t => {const a = t.getBoundingClientRect(), "
    inside += "b = s.getBoundingClientRect(); return a.left >= b.left - 1 && a.right <= b.right + 1})"
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(100)
        assert stage.locator("svg").evaluate(inside)
    page.keyboard.press("Escape")
    page.get_by_text("sub-02_T2w").first.click()
    assert stage.locator("text.lost").count() == 0


def test_layers_go_on_and_off(page):
    page.get_by_text("sub-02_T2w").first.click()
    stage = page.locator("#stage")
    assert stage.locator("circle.found").count() == 3 and stage.locator("path.truth").count() == 3
    page.get_by_label("true discs").uncheck()
    assert stage.locator("path.truth").count() == 0
    page.get_by_label("discs found").uncheck()
    assert stage.locator("circle.found").count() == 0
    for layer in ("heatmaps", "attention"):
        page.get_by_label(layer).check()
    assert stage.locator("img.heat").count() == 1 and stage.locator("img.attention").count() == 1
    page.wait_for_timeout(200)
    assert stage.evaluate("s => [...s.querySelectorAll('img')].every(i => i.complete && i.naturalWidth > 0)")
    page.keyboard.press("Escape")
    page.get_by_text("sub-01_T2w").first.click()
    assert page.get_by_label("true discs").is_disabled()


def test_the_review_status_outlives_a_reload_and_can_be_saved(page):
    page.get_by_text("sub-02_T2w").first.click()
    page.get_by_label("bad").check()
    page.get_by_label("Note").fill("motion\tghosts")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Close").click()
    page.reload()
    assert page.locator("#table .status.bad").count() == 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Save review status").click()
    text = download.value.path().read_text()
    assert text == "scan\tstatus\tnote\nsub-02_T2w\tbad\tmotion ghosts\n"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save list to redo").click()
    assert download.value.path().read_text() == "sub-02_T2w\n"
    assert read_names(download.value.path()) == {"sub-02_T2w"}  # as predict.py --only reads it


def test_names_are_shown_and_never_run(page):
    assert page.title() == f"Test {EVIL}"
    assert page.get_by_text(EVIL).count() >= 2  # in the facts and in the table
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out_and_every_control_has_a_name(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_text("sub-02_T2w").first.click()
    assert page.locator("#viewer").evaluate("d => d.scrollWidth <= d.clientWidth")
    for control in page.locator("button:visible, input:visible, select:visible, textarea:visible").all():
        named = "e => (e.labels && e.labels.length > 0) || e.textContent.trim() || e.getAttribute('aria-label')"
        assert control.evaluate(f"e => Boolean(({named})(e))")


def test_images_are_loaded_only_when_they_come_into_view(browser, tmp_path):
    report = Report(tmp_path)
    for number in range(250):
        add(report, f"sub-{number:03d}_T2w", [21, 22], 0.9)
    report.write("250 scans", [], [])
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((tmp_path / "report.html").as_uri())
    loaded = "() => [...document.querySelectorAll('#table img')].filter(i => i.naturalWidth > 0).length"
    page.wait_for_function(f"({loaded})() > 5")
    assert page.evaluate(loaded) < 125
    page.locator("#table tbody tr").last.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('#table img')].at(-1).naturalWidth > 0")
    page.close()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_letters_stand_out_from_the_ground(browser, page_file, colours):
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=colours)
    page.goto(page_file.as_uri())
    page.get_by_text("sub-10_T2w").first.click()
    contrast = """e => {
      const light = (text) => {
        const parts = text.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255);
        const [r, g, b] = parts.map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const a = light(getComputedStyle(e).color), b = light(getComputedStyle(document.body).backgroundColor);
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }"""
    for text in ("#summary", "#viewer .flag", "#discs td:first-child", "#discs td.wrong", "#origin", ".hint", "#count"):
        assert page.locator(text).first.evaluate(contrast) >= 4.5, text
    page.close()


def test_a_scan_that_leaves_the_filter_is_followed_by_the_next_one(page):
    page.get_by_label("Show").select_option("not reviewed")
    assert names(page) == [EVIL, "sub-01_T2w", "sub-02_T2w", "sub-10_T2w", "sub-99_T2w"]
    page.get_by_text("sub-02_T2w").first.click()
    page.keyboard.press("g")
    page.keyboard.press("Escape")
    page.wait_for_function("shown.length === 4")  # a dialog says that it was closed a moment later
    assert names(page) == [EVIL, "sub-01_T2w", "sub-10_T2w", "sub-99_T2w"]
    assert page.evaluate("document.activeElement.textContent") == "sub-10_T2w"
    page.keyboard.press("b")
    bad = "data.scans.filter((scan) => statusOf(scan) === 'bad').map((scan) => scan.name)"
    assert page.evaluate(bad) == ["sub-10_T2w"]


def test_a_key_that_is_held_sets_the_status_once(page):
    page.get_by_text("sub-02_T2w").first.click()
    for _ in range(4):
        page.keyboard.down("g")  # the second time on, as a key that repeats
    page.keyboard.up("g")
    assert page.locator("#status-good").is_checked()


def test_arrows_are_those_of_a_control_that_was_reached_by_keys_alone(page):
    page.get_by_text("sub-02_T2w").first.click()
    page.locator("#status-good").check()  # by pointer
    page.wait_for_timeout(50)
    page.keyboard.press("ArrowDown")
    assert page.locator("#viewer-title").text_content() == "sub-10_T2w"
    page.keyboard.press("ArrowUp")
    assert page.locator("#status-good").is_checked()
    page.locator("#window").click()  # in its middle
    assert page.evaluate("view.window") == pytest.approx(0.775, abs=0.02)
    page.wait_for_timeout(50)
    page.keyboard.press("ArrowDown")
    assert page.locator("#viewer-title").text_content() == "sub-10_T2w"
    page.keyboard.press("ArrowUp")
    page.locator("#status-good").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#status-bad").is_checked()
    assert page.locator("#viewer-title").text_content() == "sub-02_T2w"
    # With the pointer over the image, the space bar is that of a control which Tab came to.
    page.locator("#stage").hover()
    page.locator("#layer-heat").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("#layer-attention").is_checked()
    # Opened by a key, the dialog gives a button the focus: the space bar is that of the image still.
    page.keyboard.press("Escape")
    page.wait_for_function("document.activeElement.classList.contains('name')")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.locator("#stage").hover()
    page.keyboard.down("Space")
    assert page.evaluate("spaceDown") is True
    page.keyboard.up("Space")
