"""The published protocol, by hand and against a plain loop that counts as the released code does."""

import numpy as np
import pytest
from test_metrics import LEVELS, case

from utils.evaluation.published import published_scores


def places(*points):
    """Return {level: point} from L1-L2 on."""
    return dict(zip(LEVELS, points, strict=False))


def test_a_prediction_is_false_by_its_nearest_disc_in_the_image_not_by_the_nearest_row():
    # (50, 100) is nearer in the image, 11 rows away; the rows of (70, 60) are nearer, 9 away.
    one = case("one", places((50.0, 100.0), (70.0, 60.0)), places((61.0, 98.0)))
    assert published_scores([one], LEVELS, 1.0)["n_false"] == 1


def test_distances_offsets_and_spread_by_hand():
    # Distances 3 and 5 (rows 3 and 4 away): mean 4, and an SD of 1 with N in the denominator.
    one = case("one", places((0.0, 50.0), (100.0, 50.0)), places((3.0, 50.0), (104.0, 53.0)))
    scores = published_scores([one], LEVELS, 1.0)
    assert (scores["dtt_mean"], scores["dtt_sd"], scores["dtt_median"]) == (4.0, 1.0, 4.0)
    assert (scores["si_mean"], scores["si_sd"]) == (3.5, 0.5)
    single = published_scores([case("one", places(0.0), places(3.0))], LEVELS, 1.0)
    assert (single["dtt_sd"], single["si_sd"]) == (0.0, 0.0)


def test_ten_and_seven_pixels_are_still_right():
    for offset, missed, false in ((7.0, 0, 0), (7.1, 1, 0), (10.0, 1, 0), (10.1, 1, 1)):
        scores = published_scores([case("one", places(0.0), places(offset))], LEVELS, 1.0)
        assert (scores["n_missed"], scores["n_false"]) == (missed, false), offset


def test_two_predictions_at_one_disc_are_no_false_positive():
    doubled = case("doubled", {21: 0.0, 22: 100.0}, {21: 0.0, 22: 2.0})
    scores = published_scores([doubled], LEVELS, 1.0)
    assert (scores["n_false"], scores["n_missed"]) == (0, 1)  # the disc at 100 is missed: 98 rows


def test_which_predictions_count():
    # 21 is labelled, 22 may be visible without a label, 23 is known to be outside the image.
    one = case("one", {21: 0.0}, {21: 0.0, 22: 40.0, 23: 80.0}, unknown=[22])
    false = {
        counted: published_scores([one], LEVELS, 1.0, counted)["n_false"] for counted in ("labelled", "known", "all")
    }
    assert false == {"labelled": 0, "known": 1, "all": 2}


def test_nothing_found_and_nothing_labelled_are_counted():
    nothing = case("nothing", {21: 0.0, 22: 30.0}, {})
    unlabelled = case("unlabelled", {}, {21: 0.0})
    assert published_scores([nothing], LEVELS, 1.0)["n_missed"] == 2
    assert published_scores([unlabelled], LEVELS, 1.0)["n_false"] == 0
    assert published_scores([unlabelled], LEVELS, 1.0, "known")["n_false"] == 1
    assert np.isnan(published_scores([unlabelled], LEVELS, 1.0)["fp_rate"])


def counts_of_the_released_code(true, found):
    """Return distances, misses and false positives by loops over points, as that code has them."""

    def nearest(point, points):
        return points[np.argmin([(other[0] - point[0]) ** 2 + (other[1] - point[1]) ** 2 for other in points])]

    distances = [np.hypot(*np.subtract(point, nearest(point, found))) for point in true]
    missed = sum(abs(point[0] - nearest(point, found)[0]) > 7 for point in true)
    false = sum(abs(point[0] - nearest(point, true)[0]) > 10 for point in found)
    return distances, missed, false


@pytest.mark.parametrize("seed", range(20))
def test_the_scores_are_those_of_the_released_code(seed):
    rng = np.random.default_rng(seed)
    true, found = rng.uniform(0, 60, (5, 2)), rng.uniform(0, 60, (5, 2))
    one = case("one", places(*map(tuple, true)), places(*map(tuple, found)))
    scores = published_scores([one], LEVELS, 1.0)
    distances, missed, false = counts_of_the_released_code(true.tolist(), found.tolist())
    assert (scores["n_missed"], scores["n_false"]) == (missed, false)
    np.testing.assert_allclose((scores["dtt_mean"], scores["dtt_sd"]), (np.mean(distances), np.std(distances)))
