"""Every score worked out by hand, with a missing, a doubled and a shifted disc."""

import numpy as np
import pytest

from utils.evaluation.cases import Case, compare
from utils.evaluation.metrics import (
    confusion,
    id_verse,
    identified_and_distance,
    labelled_scores,
    level_scores,
    shifted_scans,
)
from utils.evaluation.published import published_scores
from utils.evaluation.tables import labelled_table

LEVELS = [21, 22, 23, 24, 25]
COLUMN = 50.0


def case(name, true, found, unknown=(), outside=()):
    """Make a scan from {level: row in mm}; every disc lies in one column unless given as (row, column)."""

    def places(discs):
        points = [value if isinstance(value, tuple) else (value, COLUMN) for value in discs.values()]
        return np.array(list(discs), int), np.reshape(points, (-1, 2)).astype(float)

    states = np.zeros(26, np.int8)
    states[list(true)] = 1
    states[list(unknown)] = -1
    true_levels, true_points = places(true)
    levels, points = places(found)
    confidence, true_across, across = np.ones(len(levels)), np.zeros(len(true_levels)), np.full(len(levels), 4.0)
    return Case(
        name, name, "T2w", "", true_levels, true_points, levels, points, confidence, states, true_across, across
    )  # fmt: skip


@pytest.fixture
def cases():
    spine = {21: 0.0, 22: 30.0, 23: 60.0, 24: 90.0, 25: 120.0}
    good = case("good", spine, {21: 3.0, 22: 30.0, 23: 60.0, 24: (90.0, 54.0), 25: 120.0})  # errors 3, 0, 0, 4, 0
    missing = case("missing", spine, {21: 0.0, 22: 30.0, 24: 90.0, 25: 132.0})  # 23 missed, 25 is 12 away
    shifted = case("shifted", {22: 30.0, 23: 60.0}, {21: 30.0, 22: 60.0, 20: 200.0}, unknown=[20, 21])
    extra = case("extra", {24: 0.0, 25: 30.0}, {23: -30.0, 24: 0.0, 25: 30.0})  # 23 is known to be outside
    return [good, missing, shifted, extra]


def test_labelled_protocol(cases):
    rows = [row for item in cases for row in compare(item, [20, *LEVELS])]
    outcome = {(row.case.name, row.level): row.outcome for row in rows}
    assert outcome["missing", 23] == "missed" and outcome["missing", 25] == "far"
    assert outcome["shifted", 21] == "wrong level" and outcome["shifted", 22] == "far"
    assert outcome["shifted", 23] == "missed" and outcome["shifted", 20] == "unknown"
    assert outcome["extra", 23] == "extra"
    scores = labelled_scores(rows)
    # True discs: 5 + 5 + 2 + 2. Identified: 5 + 3 + 0 + 2 (good, missing, shifted, extra).
    assert (scores["n_true"], scores["n_identified"], scores["n_missed"], scores["n_far"]) == (14, 10, 2, 2)
    # Predictions that count: 5 + 4 + 2 (20 is unknown) + 3.
    assert scores["n_pred"] == 14 and scores["n_unknown"] == 1
    assert scores["identified"] == pytest.approx(10 / 14)
    assert scores["fn_rate"] == pytest.approx(4 / 14)
    assert scores["fp_rate"] == pytest.approx(4 / 14)  # 25 far, 22 far, 21 wrong level, 23 extra
    # Identified errors: 3, 4 and eight times 0.
    assert scores["dtt_mean"] == pytest.approx(0.7)
    assert scores["dtt_sd"] == pytest.approx(np.sqrt((2.3**2 + 3.3**2 + 8 * 0.7**2) / 9))
    assert scores["dtt_median"] == 0
    # Over all of the same level: also 12 and 30.
    assert scores["all_mean"] == pytest.approx(49 / 12)
    assert scores["si_mean"] == pytest.approx(0.3)
    assert scores["scans_all_right"] == pytest.approx(1 / 4)
    # Each is 4 mm off left-right too: 5, the root of 32, and eight times 4.
    assert scores["mean_3d"] == pytest.approx((5 + np.sqrt(32) + 8 * 4) / 10)
    # Every confidence is 1, and 10 of 14 are right.
    assert scores["calibration_error"] == pytest.approx(4 / 14)


def test_scans_without_anything_that_counts_are_not_among_those_without_an_error(cases):
    silent = case("silent", {}, {21: 0.0}, unknown=[21])
    scores = labelled_scores([row for item in [*cases, silent] for row in compare(item, [20, *LEVELS])])
    assert scores["n_scans"] == 4 and scores["scans_all_right"] == pytest.approx(1 / 4)


def test_a_scan_with_the_labels_of_other_levels_is_shifted(cases):
    assert shifted_scans(cases, [20, *LEVELS]) == ["shifted"]


def test_levels_that_are_not_scored_are_left_out(cases):
    scores = labelled_scores(compare(cases[1], [21, 22]))
    assert (scores["n_true"], scores["n_identified"], scores["n_pred"]) == (2, 2, 2)


def test_verse_share(cases):
    # good: all 5 (nearest true disc is the right one); missing: 21, 22, 24 and 25 at 12 mm; extra: both.
    assert id_verse(cases, LEVELS) == (5 + 4 + 0 + 2, 14)


def test_verse_share_accepts_20_mm_and_compares_levels_that_are_in_both_sets():
    assert id_verse([case("one", {21: 0.0}, {21: 20.0})], LEVELS) == (1, 1)
    assert id_verse([case("one", {21: 0.0}, {21: 20.1})], LEVELS) == (0, 1)
    # At 16 it is nearer to the disc at 30 than to its own at 0: a miss if 22 was predicted, too, and a hit if not.
    assert id_verse([case("one", {21: 0.0, 22: 30.0}, {21: 16.0, 22: 30.0})], LEVELS) == (1, 2)
    assert id_verse([case("one", {21: 0.0, 22: 30.0}, {21: 16.0})], LEVELS) == (1, 2)
    assert id_verse([case("one", {21: 0.0, 22: 30.0}, {21: 16.0, 22: 90.0})], LEVELS) == (0, 2)
    # Predictions of levels without a true disc do not count; levels that are not scored compete nevertheless.
    assert id_verse([case("one", {21: 0.0}, {21: 1.0, 25: 0.0})], LEVELS) == (1, 1)
    assert id_verse([case("one", {21: 0.0, 22: 30.0}, {21: 16.0, 22: 30.0})], [21]) == (0, 1)


def test_published_protocol_ignores_levels(cases):
    scores = published_scores([cases[2]], LEVELS, 1.0)
    # With the leak level 21 is dropped, as the truth has none: 22 at 60 is left, which is nearest to both
    # true discs: 30 and 0 mm away.
    assert scores["dtt_mean"] == pytest.approx(15) and scores["fn_rate"] == pytest.approx(1 / 2)
    spine = {level: 30.0 * index for index, level in enumerate(LEVELS)}
    reversed_ = case("reversed", spine, dict(zip(spine, reversed(spine.values()), strict=True)))
    perfect = published_scores([reversed_], LEVELS, 1.0)
    assert perfect["dtt_mean"] == 0 and perfect["fn_rate"] == 0 and perfect["fp_rate"] == 0
    assert labelled_scores(compare(reversed_, LEVELS))["identified"] == pytest.approx(1 / 5)


def test_published_thresholds_are_in_pixels_along_the_rows():
    one = case("one", {21: 0.0}, {21: (8.0, 90.0)})
    fine, coarse = published_scores([one], LEVELS, 1.0), published_scores([one], LEVELS, 2.0)
    assert fine["fn_rate"] == 1 and fine["fp_rate"] == 0  # 8 px: more than 7, not more than 10
    assert coarse["fn_rate"] == 0


def test_none_found_is_not_perfect(cases):
    nothing = case("nothing", {21: 0.0, 22: 30.0}, {})
    scores = labelled_scores(compare(nothing, LEVELS))
    assert scores["identified"] == 0 and scores["fn_rate"] == 1
    assert np.isnan(scores["dtt_mean"]) and np.isnan(scores["fp_rate"])
    assert published_scores([nothing], LEVELS, 1.0)["fn_rate"] == 1
    share, distance = identified_and_distance(
        [(nothing.true_points, nothing.true_levels)], [(nothing.points, nothing.levels)]
    )
    assert share == 0 and np.isnan(distance)


def test_confusion_counts_what_was_found_at_each_true_disc(cases):
    table = confusion(cases, LEVELS)
    assert table.sum() == 14
    assert table[1, 0] == 1 and table[2, 1] == 1  # the shifted scan
    assert table[2, 5] == 1 and table[4, 5] == 1  # missed, and 12 mm away
    assert np.trace(table) == 10


def test_a_group_without_a_scored_disc_has_a_row_of_dashes():
    nothing = labelled_scores(compare(case("one", {21: 10.0}, {21: 10.0}), [24]))
    assert labelled_table({"T1w": nothing}).splitlines()[-1].split("|")[2:-1] == [
        " 0 ", " 0 ", " - (-), N=0 ", *6 * [" - "]
    ]  # fmt: skip


def test_the_levels_of_a_scan_are_right_where_most_of_its_discs_are(cases):
    for item, confidence in zip(cases, (0.95, 0.75, 0.85, float("nan")), strict=True):
        item.level_confidence = confidence
    rows = [row for item in cases for row in compare(item, [20, *LEVELS])]
    scores = level_scores(rows)
    # good: 5 of 5; missing: 3 of 4, since L2-L3 has no prediction; shifted: 0 of 2; extra has no level confidence.
    assert (scores["levels_n"], scores["levels_right"]) == (3, 2)
    assert scores["confident_wrong"] == ["shifted"]
    # Three bins with one scan each: |0.95 - 1|, |0.75 - 1| and |0.85 - 0|.
    assert scores["level_calibration_error"] == pytest.approx((0.05 + 0.25 + 0.85) / 3)
    assert level_scores([])["levels_n"] == 0
