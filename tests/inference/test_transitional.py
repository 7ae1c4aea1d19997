"""Transitional vertebrae: another numbering that fits as well, and the count of vertebrae, worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from utils.discs import LAST, SACRAL
from utils.inference.doubts import doubts_of
from utils.inference.prior import typical_prior
from utils.inference.transitional import other_levels, other_numbering, vertebrae


def evidence_of(rows):
    """Return evidence by level from {level of the chain: {level: evidence}}."""
    levels = sorted(rows)
    return {k: np.array([rows[level].get(k, 0.0) for level in levels]) for k in range(2, SACRAL + 1)}, np.array(levels)


def test_a_clear_chain_has_one_numbering():
    assert other_numbering(*evidence_of({24: {24: 0.8, 25: 0.2}, 25: {24: 0.1, 25: 0.8}, 26: {25: 0.1, 26: 0.7}})) == 0


def test_a_disc_below_that_is_nearly_whole():
    # Of L5-S1 and S1-S2 either could be one level higher: 0.61 / 0.8 and 0.6 / 0.7 are above 0.75.
    rows = {24: {24: 0.9}, 25: {24: 0.61, 25: 0.8}, 26: {25: 0.6, 26: 0.7}}
    assert other_numbering(*evidence_of(rows)) == -1
    rows[26][25] = 0.5  # 0.71 of its own
    assert other_numbering(*evidence_of(rows)) == 0


def test_a_disc_labelled_l5_s1_that_may_be_s1_s2():
    rows = {24: {24: 0.6, 25: 0.7}, 25: {25: 0.5, 26: 0.5}}
    assert other_numbering(*evidence_of(rows)) == 1
    del rows[25]  # without L5-S1 there is no lower end to ask about
    assert other_numbering(*evidence_of(rows)) == 0


def test_a_network_without_s1_s2_knows_no_other_numbering():
    evidence, levels = evidence_of({24: {24: 0.6, 25: 0.7}, 25: {25: 0.5, 26: 0.5}})
    del evidence[SACRAL]
    assert other_numbering(evidence, levels) == 0


VIEW = (900.0, 200.0)  # mm


def spine(gaps):
    """Return points (N, 2) of a straight spine with these gaps in mm, from the top down."""
    return np.stack([np.concatenate([[0.0], np.cumsum(gaps)]), np.zeros(len(gaps) + 1)], 1)


def test_vertebrae_are_counted_by_the_gaps_not_by_the_labels():
    prior, levels = typical_prior(), np.arange(3, LAST + 1)
    gaps = np.linalg.norm(prior.mean[3:LAST], axis=1)
    assert vertebrae(spine(gaps), levels, prior, VIEW) == 24
    assert vertebrae(spine(1.2 * gaps), levels, prior, VIEW) == 24  # a larger spine
    # L1-L2 was not found, and its place is empty: the gap is twice as long, nothing is missing.
    whole = np.delete(spine(gaps), 21 - 3, axis=0)
    assert vertebrae(whole, np.delete(levels, 21 - 3), prior, VIEW) == 24
    # No disc is labelled L1-L2, and there is no room for it.
    assert vertebrae(spine(np.delete(gaps, 20 - 3)), np.delete(levels, 21 - 3), prior, VIEW) == 23
    # Between T12-L1 and L1-L2 there is room for one more vertebra.
    long = gaps.copy()
    long[20 - 3] *= 2
    assert vertebrae(spine(long), levels, prior, VIEW) == 25


@pytest.mark.parametrize("levels", [np.arange(4, 26), np.arange(3, 24), np.array([], int)])
def test_without_both_ends_nothing_is_counted(levels):
    assert vertebrae(np.zeros((len(levels), 2)), levels, typical_prior(), VIEW) is None


def test_a_chain_that_ends_at_l4_l5_with_room_for_two_more_discs_lacks_a_vertebra():
    prior, levels = typical_prior(), np.arange(3, LAST)
    gaps = np.linalg.norm(prior.mean[3 : LAST - 1], axis=1)
    end, below = gaps.sum(), prior.mean[LAST - 1 : SACRAL].sum(0)
    assert vertebrae(spine(gaps), levels, prior, (end + below[0] + 1, 200.0)) == 23
    assert vertebrae(spine(gaps), levels, prior, (end + below[0] - 1, 200.0)) is None
    assert vertebrae(spine(gaps[:-1]), levels[:-1], prior, VIEW) is None  # at L3-L4 too many are missing


@pytest.mark.parametrize(
    ("levels", "shift", "count", "other"),
    [
        ([23, 24, 25], 1, None, {23: 24, 24: 25}),  # there is none below L5-S1
        ([1, 2, 3], -1, None, {2: 1, 3: 2}),
        ([3, 4, 25], 0, 24, {}),
        ([3, 19, 22, 23], 0, 23, {22: 23, 23: 24}),  # counted up from the sacrum, as the chain is not
        ([3, 20, 24, 25], 0, 23, {24: 23, 25: 24}),  # counted down from C2
        ([3, 20, 21, 25], 0, 25, {21: 22}),  # the last one would be L6-S1
        ([3, 24, 25], 1, 25, {3: 4, 24: 25}),
    ],
)
def test_levels_of_another_numbering_by_hand(levels, shift, count, other):
    assert other_levels(np.array(levels), shift, count) == other


def test_a_scan_says_so_by_a_flag_and_by_the_other_levels():
    prediction = SimpleNamespace(
        levels=np.array([24, 25]),
        confidence=np.ones(2),
        margin=9.0,
        level_confidence=0.95,
        vertebrae=None,
        other_levels={},
    )
    assert doubts_of(prediction) == []
    for changed, flag in (
        ({"other_levels": {25: 24}}, "transitional vertebra?"), ({"vertebrae": 25}, "transitional vertebra?"),
        ({"level_confidence": 0.7}, "level uncertain"), ({"margin": 1.0}, "level uncertain"),
    ):  # fmt: skip
        assert doubts_of(SimpleNamespace(**{**vars(prediction), **changed})) == [flag]
    assert doubts_of(SimpleNamespace(**{**vars(prediction), "vertebrae": 24, "level_confidence": float("nan")})) == []
