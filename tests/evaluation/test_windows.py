"""Scans cut to a few discs."""

from dataclasses import replace

import numpy as np
import pytest
from builders import lumbar

from utils.evaluation.windows import check_windows, cut, window_levels, windows_of
from utils.scans.sample import OUTSIDE, PRESENT, UNKNOWN, level_states
from utils.system.files import UserError


def test_windows_begin_where_their_region_begins():
    whole = np.arange(2, 26)
    assert window_levels(whole, 4, "cervical") == [2, 3, 4, 5]
    assert window_levels(whole, 4, "lumbar") == [22, 23, 24, 25]
    assert window_levels(whole, 12, "thoracic") == list(range(9, 21))
    assert window_levels(whole, 13, "thoracic") is None  # there are twelve discs from T1-T2 to T12-L1
    assert window_levels(np.arange(2, 15), 4, "thoracic") == [11, 12, 13, 14]  # the nearest to T6-T7
    assert window_levels(np.delete(whole, 21), 4, "lumbar") is None  # L2-L3 is not labelled


def test_a_scan_with_one_disc_is_not_cut():
    sample = lumbar()
    assert [window.levels.tolist() for window in windows_of([sample], 1, "lumbar")] == [[25]]
    one = replace(sample, levels=sample.levels[4:], points=sample.points[4:], across=sample.across[4:])
    assert not list(windows_of([one], 1, "lumbar"))
    check_windows([one, sample], [1])
    with pytest.raises(UserError, match="--windows 1: no scan has a window"):
        check_windows([one], [1])


def test_a_cut_runs_midway_to_the_next_disc():
    # Rows 60, 95, 130.5, 166.5 and 200.5: L3-L4 at 130.5 comes after the cut between 95 and 130.5.
    sample = lumbar()
    window = cut(sample, [23, 24, 25])
    assert window.levels.tolist() == [23, 24, 25]
    top = int(np.ceil((95 + 130.5) / 2))
    np.testing.assert_allclose(window.points[:, 0], sample.points[2:, 0] - top)
    assert window.image.shape == (240 - top, 120) == window.slabs.shape[1:]  # 40 mm below L5-S1 end at row 240
    np.testing.assert_array_equal(window.image, sample.image[top:])
    assert (window.states == PRESENT).sum() == 3 and window.states[22] == OUTSIDE and window.states[20] == OUTSIDE


def test_above_the_first_cervical_disc_is_unknown():
    # C1-C2 at row 60 and 17, 18, 17.5 mm to the next ones; the cut leaves 40 mm above it, where the joint above C1 is.
    sample = lumbar()
    sample.levels, sample.points = np.arange(2, 7), np.stack([[60.0, 77, 95, 112.5, 129.5], np.full(5, 60.0)], -1)
    sample.states = level_states(sample.points, sample.levels, (240, 120), 1.0)
    window = cut(sample, [2, 3, 4])
    assert window.image.shape[0] == int(np.floor((95 + 112.5) / 2)) + 1 - 20
    assert window.points[:, 0].tolist() == [40, 57, 75]
    assert window.states[[1, 2, 3, 4, 5]].tolist() == [UNKNOWN, PRESENT, PRESENT, PRESENT, OUTSIDE]
