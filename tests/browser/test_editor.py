"""Editing labels in the QC report, in a real browser, and applying them with correct.py."""

import json
import re

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine
from predicted import predict_into, save_scan

import correct

NAME = "sub-1_T2w"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    save_scan(tmp_path / f"{NAME}.nii.gz")
    save_scan(tmp_path / "sub-2_T2w.nii.gz", shape=(1, 80, 180))
    predict_into(tmp_path / "out", [tmp_path / f"{NAME}.nii.gz", tmp_path / "sub-2_T2w.nii.gz"], monkeypatch)
    return tmp_path / "out"


@pytest.fixture
def page(open_page, folder):
    page = open_page(folder / "report.html")
    page.get_by_role("button", name=NAME).click()
    page.keyboard.press("e")
    return page


def levels(page):
    return page.locator("#stage text.name").all_text_contents()


def message(page):
    return page.locator("#edit-message").text_content()


def on_screen(page, row, col):
    """Return where a pixel of the slab lies on the screen."""
    return page.evaluate(
        "([row, col]) => { const box = get('stage').getBoundingClientRect(), at = toStage({ row, col });"
        " return [box.left + frame.before + at.x, box.top + at.y]; }", [row, col]
    )  # fmt: skip


def drag(page, start, end):
    page.mouse.move(*on_screen(page, *start))
    page.mouse.down()
    page.mouse.move(*on_screen(page, *end), steps=4)
    page.mouse.up()


def saved(page):
    with page.expect_download() as download:
        page.get_by_role("button", name="Save corrections").click()
    return download.value.path()


CHAIN = ["L1-L2", "L2-L3", "L3-L4", "L4-L5"]


def names(page):
    return [text.split("  ")[0] for text in levels(page)]


def test_a_shifted_chain_is_corrected_by_one_key(page):
    page.keyboard.press("+")
    assert levels(page) == ["L2-L3", "L3-L4", "L4-L5", "L5-S1"]
    page.keyboard.press("Control+z")
    assert names(page) == CHAIN
    page.keyboard.press("Control+Shift+z")
    assert levels(page)[0] == "L2-L3"
    page.keyboard.press("-")
    page.get_by_role("button", name="all up").click()
    assert levels(page) == ["T12-L1", "L1-L2", "L2-L3", "L3-L4"]
    page.get_by_role("button", name="all down").click()
    page.keyboard.press("+")
    page.keyboard.press("+")  # L5-S1 would become S1-S2
    assert levels(page) == ["L3-L4", "L4-L5", "L5-S1"]
    assert message(page) == "The lowest disc was deleted: there is no level below L5-S1."


def test_a_disc_is_dragged_added_deleted_and_all_is_undone(page):
    drag(page, (50, 36), (58, 40))
    place = "editing.discs.find((d) => d.level === 22)"
    assert page.evaluate(f"[{place}.row, {place}.col]") == pytest.approx([58, 40], abs=0.5)
    page.mouse.click(*on_screen(page, 136, 30))
    assert names(page) == [*CHAIN, "L5-S1"] and "L5-S1 was added" in message(page)
    page.keyboard.press("Delete")
    assert names(page) == CHAIN
    page.get_by_label("Disc level").select_option("L5-S1")  # of the disc that is selected now
    assert names(page) == [*CHAIN[:3], "L5-S1"]
    for _ in range(4):
        page.keyboard.press("Control+z")
    assert names(page) == CHAIN and page.evaluate("isEdited(current)") is False
    assert page.locator("#undo").is_disabled()


def test_what_is_impossible_is_refused_in_a_sentence(page):
    drag(page, (50, 36), (95, 36))
    assert message(page) == "L3-L4 would lie above L2-L3: levels are in order from top to bottom."
    page.keyboard.press("n")  # L2-L3 stays selected, and the next one is L3-L4
    page.locator("#level-of").select_option("L4-L5")
    assert message(page) == "L4-L5 would be there twice: delete one of the two, or change its level."
    assert names(page) == CHAIN and page.evaluate("isEdited(current)") is False
    page.locator("#scope").select_option("below")
    page.locator("#level-of").select_option("L4-L5")
    assert levels(page)[2:] == ["L4-L5", "L5-S1"]


def test_a_disc_added_between_two_levels_makes_room(page):
    page.mouse.click(*on_screen(page, 65, 36))
    assert names(page) == ["L1-L2", "L2-L3", "L3-L4", "L4-L5", "L5-S1"]  # below it: nothing says where the sacrum is
    assert message(page) == "L3-L4 was added; the levels below it were shifted by one to make room."
    page.mouse.click(*on_screen(page, 35, 36))
    assert names(page) == ["T12-L1", "L1-L2", "L2-L3", "L3-L4", "L4-L5", "L5-S1"]  # above it, since L5-S1 is there


def test_a_disc_belongs_to_the_slab_shown(page):
    assert "Slab 3 of 5" in page.locator("#slab").text_content()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "Slab 5 of 5" in page.locator("#slab").text_content() and page.locator("#slab-right").is_disabled()
    assert page.locator("#stage circle.away").count() == 4
    page.mouse.click(*on_screen(page, 136, 30))
    assert page.evaluate("editing.discs.at(-1).across === current.slabs[4].offset")
    page.keyboard.press(",")
    page.keyboard.press(".")
    assert "Slab 5 of 5" in page.locator("#slab").text_content()
    page.keyboard.press("Escape")  # nothing is selected
    page.keyboard.press("ArrowLeft")
    assert "Slab 4 of 5" in page.locator("#slab").text_content()


def test_a_disc_keeps_its_place_across_unless_it_is_dragged_on_another_slab(page):
    across = "editing.discs[0].across"
    before = page.evaluate(across)
    drag(page, (20, 36), (22, 36))  # on its own slab
    assert page.evaluate(across) == before
    page.keyboard.press("Escape")
    page.keyboard.press(".")
    page.mouse.click(*on_screen(page, 22, 36))
    page.keyboard.press("ArrowDown")
    assert "Slab 4 of 5" in page.locator("#slab").text_content()
    assert page.evaluate(f"[editing.discs[0].row, {across}]") == pytest.approx([22.25, before], abs=0.5)
    assert page.evaluate(across) == before
    drag(page, (22.25, 36), (24, 36))
    assert page.evaluate(f"{across} === current.slabs[3].offset")


def test_two_discs_at_one_height_are_refused(page):
    page.keyboard.press("p")  # the lowest one
    for _ in range(40):
        page.keyboard.press("Shift+ArrowDown")  # to the lower edge
    page.keyboard.press("a")
    assert message(page) == "L4-L5 and L5-S1 would lie at one height: place them apart."
    assert names(page) == ["L1-L2", "L2-L3", "L3-L4", "L4-L5"]


def test_arrows_move_the_selected_disc_in_small_steps_that_are_undone_as_one(page):
    page.keyboard.press("n")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    assert page.evaluate("[editing.discs[0].row, editing.discs[0].col]") == [22.25, 36.5]
    page.keyboard.press("Control+z")
    assert page.evaluate("[editing.discs[0].row, editing.discs[0].col]") == [20, 36]


def test_edits_outlive_a_reload_and_are_listed(page, folder):
    page.keyboard.press("+")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.reload()
    status = page.locator("#table tr[aria-current] .cell-review")
    assert status.text_content() == "edited"
    page.get_by_label("Show").select_option("edited")
    assert page.locator("#table tbody button.name").all_text_contents() == [NAME]
    page.get_by_role("button", name=NAME).click()
    assert levels(page)[0] == "L2-L3" and page.locator("#tools").is_hidden()
    page.keyboard.press("e")
    page.keyboard.press("Control+z")  # back to what was predicted
    assert names(page) == CHAIN
    page.keyboard.press("Control+Shift+z")
    page.get_by_role("button", name="Close").click()
    path = saved(page)
    assert "1 corrected and 0 good saved" in page.locator("#saved").text_content()
    # Once they are applied, the page shows them as the labels of the file.
    assert correct.main([str(path), "--predictions", str(folder)]) == 0
    page.reload()
    assert page.locator("#table tr[aria-current] .cell-review").text_content() == "corrected"
    assert page.evaluate("edits.size") == 0 and page.evaluate("data.scans[0].discs[0].name") == "L2-L3"


@pytest.mark.parametrize(("codes", "tilt"), [("PSR", 0.0), ("LAS", 0.0), ("RPI", 0.0), ("LAS", 0.2)])
def test_the_label_volume_has_the_voxels_that_were_clicked(codes, tilt, open_page, tmp_path, monkeypatch):
    scan, folder = tmp_path / f"{NAME}.nii.gz", tmp_path / "out"
    save_scan(scan, codes, tilt)
    predict_into(folder, [scan], monkeypatch)
    page = open_page(folder / "report.html")
    page.get_by_label("Your name").fill("R. Reviewer")
    page.get_by_role("button", name=NAME).click()
    page.keyboard.press("e")
    for _ in range(4):
        page.keyboard.press("n")
        page.keyboard.press("Delete")
    page.keyboard.press("ArrowLeft")
    page.mouse.move(*on_screen(page, 60, 30))
    page.mouse.wheel(0, -400)  # zoomed, a click is a smaller part of a pixel
    clicks = [(70.3, 33.8), (78.6, 36.1)]
    for row, col in clicks:
        page.mouse.click(*on_screen(page, row, col))
    shown = page.evaluate("current.slabs[view.slab].offset")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Close").click()
    path = saved(page)
    (correction,) = json.loads(path.read_text())["scans"]
    assert correction["by"] == "R. Reviewer" and correction["status"] == "corrected"
    assert correct.main([str(path), "--predictions", str(folder)]) == 0
    image, labels = nibabel.load(scan), nibabel.load(folder / f"{NAME}_label-discs_dlabel.nii.gz")
    found = np.argwhere(np.asarray(labels.dataobj))
    assert len(found) == 2
    plane = page.evaluate("current.plane")
    origin, down, back, across = (np.array(plane[part]) for part in ("origin", "down", "back", "across"))
    for row, col in clicks:
        world = origin + row * down + col * back + shown * across
        away = np.abs(apply_affine(np.linalg.inv(image.affine), world) - found).max(1)
        assert away.min() <= 0.6  # half a voxel, and what a pixel of the screen rounds


def test_scans_that_are_good_are_saved_as_that(page):
    page.keyboard.press("g")
    page.get_by_role("button", name="Close").click()
    (scan,) = json.loads(saved(page).read_text())["scans"]
    assert (scan["name"], scan["status"]) == (NAME, "good") and "discs" not in scan and len(scan["image_digest"]) == 64
    assert scan["key"] == page.evaluate("data.scans[0].key")


def test_zoom_pan_window_and_level(page):
    start = on_screen(page, 50, 36)
    page.mouse.move(*start)
    page.mouse.wheel(0, -400)
    assert page.evaluate("view.zoom") > 2
    assert on_screen(page, 50, 36) == pytest.approx(start, abs=1)  # what is under the pointer stays there
    page.keyboard.down(" ")
    page.mouse.down()  # on a disc, which space keeps from being dragged
    page.mouse.move(start[0] + 30, start[1] - 20, steps=3)
    page.mouse.up()
    page.keyboard.up(" ")
    assert on_screen(page, 50, 36) == pytest.approx([start[0] + 30, start[1] - 20], abs=1.5)
    assert page.evaluate("isEdited(current)") is False
    page.get_by_label("Window width").fill("0.5")
    assert page.locator("#grey-values feFuncR").get_attribute("slope") == "2"
    assert "grey-values" in page.locator("#stage img.grey").evaluate("i => getComputedStyle(i).filter")
    page.get_by_role("button", name="Reset").click()
    assert page.evaluate("[view.zoom, view.window]") == [1, 1]
    assert page.locator("#stage img.grey").evaluate("i => getComputedStyle(i).filter") == "none"


def test_all_can_be_done_by_keys(page):
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.locator("#table tr[aria-current] .name").focus()
    for key in ("Enter", "e", "n", "Delete", "p", "a", "Shift+ArrowDown", "Escape", "ArrowLeft", "g", "Escape"):
        page.keyboard.press(key)
    # L1-L2 is gone; p chose L4-L5, a added L5-S1 below it.
    assert page.evaluate("discsOf(data.scans[0]).map((disc) => nameOf(disc.level))") == [*CHAIN[1:], "L5-S1"]
    page.keyboard.press("Escape")
    assert page.locator("#viewer").is_hidden()


def test_a_scan_with_one_slab_says_so(page):
    page.keyboard.press("ArrowDown")
    assert page.locator("#viewer-title").text_content() == "sub-2_T2w"
    assert page.locator("#slab").text_content() == "This scan has one slab only."
    assert page.locator("#tools").is_visible()  # editing continues from scan to scan


@pytest.mark.parametrize("width", [1280, 400])
def test_the_tools_are_there_and_named_at_any_width(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.locator("#viewer").evaluate("d => d.scrollWidth <= d.clientWidth")
    for control in ("#shift-up", "#shift-down", "#add", "#delete", "#level-of", "#undo", "#redo"):
        box = page.locator(control).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] <= 800
    for control in page.locator("button:visible, input:visible, select:visible, textarea:visible").all():
        named = "e => (e.labels && e.labels.length > 0) || e.textContent.trim() || e.getAttribute('aria-label')"
        assert control.evaluate(f"e => Boolean(({named})(e))")


def test_selecting_a_disc_does_not_date_an_edit_anew(page):
    page.keyboard.press("+")
    before = page.evaluate("edits.get(current).time")
    page.wait_for_timeout(20)
    for key in ("n", "Escape", "Control+Shift+z"):  # there is nothing to redo
        page.keyboard.press(key)
    assert page.evaluate("edits.get(current).time") == before
    page.wait_for_timeout(20)
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert page.evaluate("edits.get(current).time") > before


def test_an_edited_scan_that_is_bad_is_in_the_list_to_redo(page):
    page.keyboard.press("+")
    page.keyboard.press("b")
    page.get_by_role("button", name="Close").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save list to redo").click()
    assert download.value.path().read_text() == f"{NAME}\n"
    page.get_by_role("button", name="Save corrections").click()
    assert page.locator("#saved").text_content().startswith("Nothing to save")


# C1-C2 lies 17 mm above C2-C3, and as far above it is the one level that is left, however far up.
@pytest.mark.parametrize(("above", "level"), [(10, 2), (20, 2), (30, 1), (90, 1)])
def test_a_disc_is_added_above_a_cervical_chain(above, level, page):
    assert page.evaluate(f"proposeLevel([{{ level: 3, row: 100 }}], {100 - above}, 1)") == level
    assert page.evaluate(f"proposeLevel([{{ level: 1, row: 100 }}], {100 - above}, 1)") is None


def test_letters_in_the_list_of_levels_are_no_keys_of_the_editor(page):
    page.keyboard.press("n")
    page.locator("#level-of").focus()
    for key in ("-", "+", "Backspace", "Delete", "e"):
        page.keyboard.press(key)
    assert page.evaluate("editMode") is True
    page.keyboard.press("Escape")  # nothing is selected any more
    assert names(page) == CHAIN and page.evaluate("isEdited(current)") is False


def test_what_the_browser_does_not_store_is_said(page):
    refused = "() => { const e = new Event('beforeunload', { cancelable: true }); return !dispatchEvent(e); }"
    assert page.locator(".unstored:visible").count() == 0 and page.evaluate(refused) is False
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    page.keyboard.press("+")
    assert "stores nothing more" in page.locator("#viewer .unstored:visible").text_content()
    assert levels(page)[0] == "L2-L3" and page.evaluate(refused) is True


def test_two_tabs_of_a_page_keep_what_either_says(page, open_page, folder):
    other = open_page(folder / "report.html")
    page.keyboard.press("b")
    other.get_by_role("button", name=NAME).click()
    other.get_by_label("Note").fill("blurred")
    page.reload()
    assert page.evaluate("[statusOf(data.scans[0]), noteOf(data.scans[0])]") == ["bad", "blurred"]


def test_files_of_corrections_have_the_time_in_their_names(page):
    page.keyboard.press("g")
    page.get_by_role("button", name="Close").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save corrections").click()
    file = download.value.suggested_filename
    assert re.fullmatch(r"corrections_\d{8}T\d{6}\.json", file)
    assert f"run python correct.py {file} --predictions FOLDER" in page.locator("#saved").text_content()


def test_a_second_finger_moves_no_disc(page):
    place = "[editing.discs[0].row, editing.discs[0].col]"
    before = page.evaluate(place)
    first, second = on_screen(page, 90, 10), on_screen(page, *before)
    page.evaluate(
        """([first, second]) => {
          const send = (type, [x, y], id) => get("stage").dispatchEvent(new PointerEvent(type, { pointerId: id,
            clientX: x, clientY: y, isPrimary: id === 1, pointerType: "touch", bubbles: true, cancelable: true }));
          get("stage").setPointerCapture = () => {};
          send("pointerdown", first, 1);
          send("pointerdown", second, 2);
          send("pointermove", [second[0], second[1] - 40], 2);
          send("pointerup", [second[0], second[1] - 40], 2);
          send("pointermove", [first[0] + 40, first[1]], 1);
          send("pointerup", [first[0] + 40, first[1]], 1);
        }""",
        [first, second],
    )
    assert page.evaluate(place) == before and page.evaluate("isEdited(current)") is False
