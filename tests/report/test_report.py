"""The QC report: what it flags, what it escapes, and how much room it takes."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from utils.evaluation.cases import Case, compare
from utils.inference.labeller import Prediction
from utils.report.entries import Slabs
from utils.report.flags import flags_of
from utils.report.report import PARTS, TEMPLATES, Report, files_of
from utils.scans.plane import Plane

TEXTS = {
    "place": "../sub-1", "name": "</script><b>sub-1", "subject": "sub-1", "contrast": "T2w", "source": "here",
    "weights": "w",
}  # fmt: skip


def prediction(levels, rows, confidence=0.9, margin=9.0):
    count, chance = len(levels), np.full(len(levels), confidence)
    points = np.stack([rows, np.full(count, 60.0)], -1) if count else np.zeros((0, 2))
    heatmaps = np.zeros((24, 80, 64))
    return Prediction(np.array(levels, int), points, np.zeros(count), chance, chance, chance, margin, heatmaps, None, 0)


def rows_of(true, found):
    """Compare {level: row} with a prediction, in pixels of 1 mm."""
    points = np.stack([list(true.values()), np.full(len(true), 60.0)], -1)
    chance, beside = np.ones(len(found.levels)), np.zeros(len(true))
    case = Case("a", "a", "", "", np.array(list(true)), points, found.levels, found.points, chance, np.zeros(26),
                beside, found.across)  # fmt: skip
    return case, compare(case, list(range(2, 26)))


@pytest.mark.parametrize(
    ("levels", "rows", "expected"),
    [
        ([21, 22, 23], [10, 40, 70], []),
        ([22, 23], [40, 70], ["missed"]),
        ([21, 22, 23, 25], [10, 40, 70, 150], ["extra"]),
        ([21, 22, 23], [10, 40, 85], ["far off"]),
        ([22, 23, 24], [10, 40, 70], ["far off", "missed", "extra"]),
        ([], [], ["missed", "no disc"]),
    ],
)
def test_flags_say_what_is_wrong(levels, rows, expected):
    found = prediction(levels, rows)
    assert flags_of(found, rows_of({21: 10.0, 22: 40.0, 23: 70.0}, found)[1]) == expected


def test_a_shifted_chain_is_flagged_once():
    found = prediction([22, 23, 24], [10, 40, 70])
    rows = rows_of({21: 10.0, 22: 40.0, 23: 70.0}, found)[1]
    assert flags_of(found, rows, ["shifted chain"]) == ["shifted chain", "missed", "extra"]


def test_without_a_truth_the_flags_go_by_confidence():
    assert flags_of(prediction([21, 22], [10, 40], confidence=0.4)) == ["low confidence"]
    assert flags_of(prediction([21, 22], [10, 40], margin=1.0)) == ["level uncertain"]


def test_the_page_holds_its_data_and_no_markup_of_others(tmp_path):
    report = Report(tmp_path)
    image = np.linspace(0, 1, 320 * 256).reshape(320, 256)
    found = prediction([21, 22], [10, 40])
    report.add(TEXTS, image, found, 1.0, *rows_of({21: 12.0, 22: 40.0}, found))
    report.add_failed({**TEXTS, "place": "sub-2", "name": "sub-2"}, "it is no <NIfTI> file", tmp_path / "b.nii")
    report.write("A & <b>", [("weights", "<w>")], [])
    page = (tmp_path / "report.html").read_text()
    assert "<title>A &amp; &lt;b&gt;</title>" in page and "<b>" not in page and "<NIfTI>" not in page
    data = json.loads(re.search(r'type="application/json">(.*?)</script>', page, re.DOTALL)[1])
    first, second = data["scans"]
    assert first["name"] == TEXTS["name"] and second["reason"] == "it is no <NIfTI> file"
    assert [row["error"] for row in first["rows"]] == [2.0, 0.0] and first["mean_error"] == 1.0
    assert [(disc["row"], disc["col"]) for disc in first["truth"]] == [(12.0, 60.0), (40.0, 60.0)]
    # Every flag that is set has its meaning on the page.
    assert set(first["flags"]) | set(second["flags"]) <= set(data["meanings"])
    # Everything that it names lies beside it.
    for path in (first["image"], first["heat"], *(f"report_files/{part}" for part in PARTS)):
        assert (tmp_path / path).stat().st_size > 0


def page_data(folder):
    page = (folder / "report.html").read_text()
    return json.loads(re.search(r'type="application/json">(.*?)</script>', page, re.DOTALL)[1])


def test_discs_that_are_wrong_say_so(tmp_path):
    report = Report(tmp_path)
    found = prediction([22, 23, 24], [1, 3, 70])
    report.add(TEXTS, np.zeros((100, 80)), found, 1.0, *rows_of({21: 1.0, 22: 3.0, 24: 70.0}, found))
    report.write("A", [], [])
    scan = page_data(tmp_path)["scans"][0]
    assert [(disc["name"], disc["wrong"]) for disc in scan["discs"]] == [
        ("L2-L3", False), ("L3-L4", True), ("L4-L5", False)]  # fmt: skip
    assert [(disc["name"], disc["wrong"]) for disc in scan["truth"]] == [
        ("L1-L2", True), ("L2-L3", False), ("L4-L5", False)]  # fmt: skip


def test_a_review_status_belongs_to_these_labels_of_this_scan(tmp_path):
    keys = []
    for change, levels, rows in (
        ({}, [22], [5]), ({"place": "elsewhere"}, [22], [5]), ({"weights": "v"}, [22], [5]),
        ({"source": "there"}, [22], [5]), ({"name": "sub-2"}, [22], [5]), ({}, [23], [5]),
        ({}, [22], [6]), ({}, [], []),
    ):  # fmt: skip
        report = Report(tmp_path)
        report.add({**TEXTS, **change}, np.zeros((40, 30)), prediction(levels, rows), 1.0)
        report.write("A", [], [])
        keys.append(page_data(tmp_path)["scans"][0]["key"])
    assert keys[0] == keys[1] and len(set(keys)) == 7


def test_the_lowest_confidence_is_rounded_as_that_of_each_disc(tmp_path):
    report = Report(tmp_path)
    report.add(TEXTS, np.zeros((40, 30)), prediction([21], [10], confidence=1 / 3), 1.0)
    assert report.scans[0]["lowest_confidence"] == report.scans[0]["discs"][0]["confidence"] == 0.3333


def test_what_others_write_to_the_folder_meanwhile_stays_and_is_on_the_page(tmp_path):
    one, two = Report(tmp_path), Report(tmp_path)
    for report, place in ((one, "b"), (two, "a")):
        report.add({**TEXTS, "place": place, "name": place}, np.zeros((40, 30)), prediction([21], [10]), 1.0)
    for report in (one, two):
        report.scans = []
        report.recall()
        report.write("A", [], [])
    assert [scan["place"] for scan in page_data(tmp_path)["scans"]] == ["a", "b"]
    assert one.holds({**TEXTS, "place": "a"}) and not one.holds({**TEXTS, "place": "c"})
    # One that cannot be labelled now is on the page as that, beside what it was labelled before.
    again = Report(tmp_path)
    again.add_failed({**TEXTS, "place": "b", "name": "b"}, "it is gone", tmp_path / "b.nii")
    again.recall()
    assert [(scan["place"], scan["reason"]) for scan in again.scans] == [("a", ""), ("b", ""), ("b", "it is gone")]


def test_a_scan_that_failed_stays_on_the_page_until_it_is_labelled_or_gone(tmp_path):
    texts = {name: {**TEXTS, "place": name, "name": name} for name in "abcd"}
    report = Report(tmp_path)
    for name in "abcd":
        (tmp_path / f"{name}.nii").touch()
        report.add_failed(texts[name], "it is damaged", tmp_path / f"{name}.nii")
    report.write("A", [], [])
    Report(tmp_path).add(texts["a"], np.zeros((40, 30)), prediction([21], [10]), 1.0)  # by another process
    (tmp_path / "b.nii").unlink()
    again = Report(tmp_path)
    again.add_failed(texts["c"], "it is empty", tmp_path / "c.nii")
    again.recall([texts["c"]])
    shown = [(scan["name"], scan["reason"]) for scan in again.scans]
    assert shown == [("a", ""), ("c", "it is empty"), ("d", "it is damaged")]


def test_the_files_of_a_page_are_known_before_it_is_written(tmp_path):
    Image.new("RGB", (30, 20), "white").save(tmp_path / "chart.png")
    report = Report(tmp_path / "out")
    for place in ("a", "b"):
        report.add({**TEXTS, "place": place}, np.zeros((40, 30)), prediction([], []), 1.0)
    report.write("A", [], [], [("a chart", tmp_path / "chart.png")])
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    known = set(files_of(["a", "b"], ["chart.png"]))
    # The network of this prediction has no attention.
    assert written <= known and {name[-14:] for name in known - written} == {"_attention.png"}


def test_figures_come_with_their_size_and_their_ground(tmp_path):
    Image.new("RGB", (30, 20), "white").save(tmp_path / "chart.png")
    Image.new("RGB", (30, 20), "#101214").save(tmp_path / "slices.png")
    report = Report(tmp_path)
    report.add(TEXTS, np.zeros((40, 30)), prediction([], []), 1.0)
    report.write("A", [], [], [("a chart", tmp_path / "chart.png"), ("slices", tmp_path / "slices.png")])
    reported = [(f["width"], f["height"], f["dark"]) for f in page_data(tmp_path)["figures"]]
    assert reported == [(30, 20, False), (30, 20, True)]


def bytes_of_a_scan(folder, slabs):
    """Return the size of all that a report stores of one scan, as rough as a noisy one; others take less."""
    rng = np.random.default_rng(0)
    images = np.clip(0.4 + 0.05 * rng.standard_normal((slabs, 384, 256)), 0, 1)
    found = prediction(range(2, 26), 12.0 + 15 * np.arange(24))
    found.heatmaps, found.attention = rng.random((24, 96, 64)), rng.random((96, 64))
    plane = Plane(np.zeros(3), np.array([0, 0, -1.0]), np.array([0, -1.0, 0]), np.array([1.0, 0, 0]), (384, 256))
    report = Report(folder)
    report.add(TEXTS, images[0], found, 1.0, slabs=Slabs(images, np.arange(slabs), plane, "0" * 64))
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    # An entry is in the page, too.
    return sum(sizes.values()) + sum(size for path, size in sizes.items() if path.suffix == ".json")


def test_a_page_of_250_scans_stays_small(tmp_path):
    report = Report(tmp_path / "empty")
    report.write("A", [], [])
    page = sum(path.stat().st_size for path in (tmp_path / "empty").rglob("*") if path.is_file())
    # With the slabs to step through it is less than half of the pictures that predict.py writes beside it.
    for slabs, limit in ((1, 20e6), (11, 90e6)):
        assert page + 250 * bytes_of_a_scan(tmp_path / str(slabs), slabs) < limit


def light(colour):
    """Return the relative luminance of a colour such as ``#16191c``, as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_letters_stand_out_from_every_ground():
    assert light("#ffffff") == pytest.approx(1) and light("#767676") == pytest.approx(0.1812, abs=1e-4)
    sets = re.findall(r":root \{(.*?)\}", (TEMPLATES / "report.css").read_text(), re.DOTALL)
    assert len(sets) == 2  # light and dark
    for colours in (dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", each)) for each in sets):
        grounds = [light(colours.pop(ground)) for ground in ("paper", "raised", "chosen")]
        del colours["line"]  # of tables
        assert len(colours) == 9
        for name, colour in colours.items():
            for ground in grounds:
                low, high = sorted((light(colour), ground))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (name, colour)
