"""Confidences, thresholds and calibration errors, against values worked out by hand."""

import numpy as np
import pytest

from utils.inference.confidence import Calibration, best_threshold, features, fit, reliability


def test_without_a_calibration_the_confidence_is_the_share_of_chains():
    share = np.array([0.2, 0.5, 0.9])
    np.testing.assert_allclose(Calibration().confidence(np.full(3, 0.4), share, np.zeros(3)), share)
    again = Calibration.from_dict(Calibration(np.arange(4.0), 0.3).to_dict())
    assert again.threshold == 0.3 and again.weights.tolist() == [0, 1, 2, 3]


def test_the_fit_finds_the_chances_that_discs_were_drawn_with():
    rng = np.random.default_rng(0)
    evidence, share, margin = rng.uniform(0.05, 1, 20000), rng.uniform(0.01, 0.99, 20000), rng.uniform(-5, 20, 20000)
    true = np.array([0.5, 0.7, 0.4, 0.9])
    chance = 1 / (1 + np.exp(-features(evidence, share, margin) @ true))
    right = rng.random(20000) < chance
    found = fit(evidence, share, margin, right, 20000)
    np.testing.assert_allclose(found.weights, true, atol=0.1)
    assert reliability(found.confidence(evidence, share, margin), right)[1] < 0.015


def test_a_few_right_discs_or_none_do_not_make_it_certain():
    few = fit(np.full(5, 0.9), np.full(5, 0.9), np.full(5, 5.0), np.ones(5, bool), 5)
    assert 0.9 < few.confidence(np.array([0.9]), np.array([0.9]), np.array([5.0]))[0] < 0.995
    none = fit(*np.zeros((4, 0)), 10)
    assert none.threshold == 0.0 and none.weights.tolist() == [0, 1, 0, 0]


def test_the_fit_ends_where_the_likelihood_is_highest_though_all_discs_are_alike():
    # All are alike, with high evidence: the best estimate is the share that is right, except for the ridge.
    for n_wrong in (8, 40):
        right = np.arange(40) >= n_wrong
        found = fit(np.full(40, 0.9), np.full(40, 0.999), np.full(40, 20.0), right, 40)
        chance = found.confidence(np.array([0.9]), np.array([0.999]), np.array([20.0]))[0]
        assert chance == pytest.approx(1 - n_wrong / 40, abs=0.06)


def test_discs_of_equal_confidence_are_kept_or_left_out_together():
    # All at 0.9 or more: 5 of 25 right, F2 25 / 49 = 0.51; with the one at 0.5 behind them: 30 / 50 = 0.60.
    assert best_threshold([0.9] * 25 + [0.5], [1] * 5 + [0] * 20 + [1], 6) == 0.0


def test_the_threshold_has_the_best_f2_score():
    # Of 4 true discs 3 are found. F2 of the best 1, 2, 3, 4, 5 discs: 5/17, 10/18, 15/19, 15/20, 15/21.
    confidence = np.array([0.9, 0.8, 0.6, 0.4, 0.1])
    assert best_threshold(confidence, [1, 1, 1, 0, 0], 4) == pytest.approx(0.5)
    # With the wrong ones on top nothing is won by leaving discs out: 0, 5/18, 10/19.
    assert best_threshold(confidence[:3], [0, 1, 1], 4) == 0.0
    # Two wrong ones are worth a right one behind them: 15/19, 15/20, 15/21, 20/22, where F1 falls from 6/7 to 8/10.
    assert best_threshold([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1, 1, 1, 0, 0, 1], 4) == 0.0
    assert best_threshold([], [], 0) == 0.0


def test_calibration_error_by_hand():
    # Bin 0.9 to 1: mean 0.95, 1 of 2 right: 0.45 off; bin 0.2 to 0.3: mean 0.25, none of 2 right: 0.25 off.
    rows, error = reliability([0.92, 0.98, 0.25, 0.25], [True, False, False, False])
    assert rows == [(0.25, 0.0, 2), (0.95, 0.5, 2)]
    assert error == pytest.approx(0.5 * 0.25 + 0.5 * 0.45)
    assert np.isnan(reliability([], [])[1])
