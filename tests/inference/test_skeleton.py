"""The search equals brute force, and answers whatever it is given."""

import itertools

import numpy as np
import pytest
import torch

from models import build_model
from utils.discs import SACRAL, TYPICAL_GAP_MM
from utils.inference.labeller import Labeller
from utils.inference.prior import LOOSENESS, MOST_MISSING, Prior, learn_prior, typical_prior
from utils.inference.skeleton import (
    DOUBT,
    END_PRICE,
    LEAST_DOUBT,
    MISSING_PRICE,
    SIZE_SD,
    SIZES,
    Chain,
    chain_score,
    doubt_of,
    search,
    shift_margin,
)

LEVELS = [20, 21, 22, 23, 24, 25]
NOTHING = (np.zeros((0, 2)), np.zeros(0), np.zeros(0))


def straight(levels, top=30.0, column=100.0, size=1.0):
    """Return points (N, 2) in mm of a straight spine."""
    rows = [top]
    for level in levels[:-1]:
        rows.append(rows[-1] + size * TYPICAL_GAP_MM[level])
    return np.stack([rows, np.full(len(rows), column)], 1)


def score_of(chain, candidates, levels, prior, extent, size):
    """Score one chain by the written objective, with loops and no tables."""
    total = -0.5 * (np.log(size) / SIZE_SD) ** 2
    chosen = [(level, *(field[chain[level]] for field in candidates[levels.index(level)])) for level in chain]
    for _, _, evidence, doubt in chosen:
        total += np.log(min(evidence, 1.0) / doubt)
    for (level, start, *_), (lower, end, *_) in itertools.pairwise(chosen):
        jump = lower - level
        if jump > MOST_MISSING + 1:
            return -np.inf
        mean = sum(prior.mean[k] for k in range(level, lower))
        spread = LOOSENESS * jump * sum(prior.covariance[k] for k in range(level, lower))
        vector = (end - start) / size
        if vector[0] < np.linalg.norm(mean) / 3:
            return -np.inf
        total += -0.5 * (vector - mean) @ np.linalg.solve(spread, vector - mean) - MISSING_PRICE * (jump - 1)
    for level, place, vector_of in (
        (chosen[0][0], chosen[0][1], lambda k: -prior.mean[k - 1] if k > 1 else None),
        (chosen[-1][0], chosen[-1][1], lambda k: prior.mean[k] if k < 25 else None),
    ):
        vector = vector_of(level)
        if vector is not None:
            beyond = place + size * vector
            total -= END_PRICE * bool((beyond >= 0).all() and (beyond <= extent).all())
    return total


@pytest.mark.parametrize("seed", range(60))
def test_search_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    levels = LEVELS[: rng.integers(1, 7)]
    prior, extent, sizes = typical_prior(), np.array([260.0, 180.0]), np.array([0.8, 1.0, 1.2])
    spine = straight(levels, size=rng.uniform(0.7, 1.3))
    candidates = []
    for place in spine:
        count = rng.integers(0, 4)
        evidence, doubt = rng.uniform(0.02, 1.0, count), rng.uniform(0.001, 0.08, count)
        candidates.append((place + rng.normal(0, 14, (count, 2)), evidence, doubt))
    best, weights = 0.0, [({}, 1.0)]
    for picks in itertools.product(*[range(-1, len(points)) for points, *_ in candidates]):
        chain = {level: pick for level, pick in zip(levels, picks, strict=True) if pick >= 0}
        if chain:
            scores = [score_of(chain, candidates, levels, prior, extent, size) for size in sizes]
            best = max(best, *scores)
            weights.append((chain, np.exp(scores).sum()))
    found = search(candidates, levels, prior, extent, sizes)
    assert found.score == pytest.approx(best)
    if found.picks:
        again = max(score_of(found.picks, candidates, levels, prior, extent, size) for size in sizes)
        assert again == pytest.approx(best)
        taken = [(candidates[levels.index(level)], pick) for level, pick in found.picks.items()]
        parts = (np.array([field[k][pick] for field, pick in taken]) for k in range(3))
        assert chain_score(*parts, list(found.picks), prior, extent, sizes) == pytest.approx(best)
    for level, pick in found.picks.items():
        share = sum(weight for chain, weight in weights if chain.get(level) == pick) / sum(w for _, w in weights)
        assert found.share[level] == pytest.approx(share)


def test_a_chain_with_a_missing_and_a_false_disc_is_found():
    spine = straight(LEVELS)
    candidates = [(place[None], np.array([0.9]), np.array([DOUBT])) for place in spine]
    candidates[2] = NOTHING  # L2-L3 was not seen
    candidates[4] = (np.array([[40.0, 20.0], spine[4]]), np.array([0.95, 0.6]), np.full(2, DOUBT))  # one far off
    chain = search(candidates, LEVELS, typical_prior(), (300, 200)).picks
    assert chain == {20: 0, 21: 0, 23: 0, 24: 1, 25: 0}


def test_a_place_that_is_a_disc_with_high_confidence_gets_a_level():
    # Five places, each torn between two levels: one level higher all of them would fit too, except for the lowest.
    spine, torn = straight(LEVELS), {level: np.full(6, 0.01) for level in LEVELS}
    for index, level in enumerate(LEVELS):
        torn[level][index] = 0.34
        if index:
            torn[level][index - 1] = 0.64
    torn[LEVELS[-1]][-1] = 0.98
    evidence = np.stack(list(torn.values()), -1)
    chosen = {}
    for how, doubt in (("doubt of each place", doubt_of(evidence)), ("the same for all", np.full(6, DOUBT))):
        candidates = [(spine, torn[level], doubt) for level in LEVELS]
        chosen[how] = search(candidates, LEVELS, typical_prior(), (300, 200)).picks
    assert chosen["doubt of each place"] == dict(zip(LEVELS, range(6), strict=True))
    assert chosen["the same for all"] == dict(zip(LEVELS[1:], range(5), strict=True))


def test_a_large_remnant_disc_in_the_sacrum_has_a_level_of_its_own():
    # A place below L5-S1 that is a disc with high confidence, and a little like L5-S1: without S1-S2 it gets that
    # level, and the labels of the whole chain are shifted by one.
    levels = [*LEVELS, SACRAL]
    spine = straight(levels)
    torn = {level: np.full(7, 0.01) for level in [19, *levels]}
    for index, level in enumerate(levels):
        torn[level][index] = 0.6
        torn[level - 1][index] = 0.4
    torn[25][6] = 0.97
    chosen = {}
    for known in ([19, *LEVELS], [19, *levels]):
        doubt = doubt_of(np.stack([torn[level] for level in known], -1))
        picks = search([(spine, torn[level], doubt) for level in known], known, typical_prior(), (300, 200)).picks
        chosen[len(known)] = picks
    assert chosen[8] == dict(zip(levels, range(7), strict=True))
    assert chosen[7] == dict(zip([19, *LEVELS], range(7), strict=True))


def test_what_the_sacrum_holds_is_never_reported():
    levels, heatmaps = [*range(2, 26), SACRAL], np.full((1, 25, 60, 40), 1e-3, np.float32)
    prior = typical_prior()
    place = np.array([20.0, 20.0])
    for level in range(21, SACRAL + 1):
        row, column = np.round(place / 4).astype(int)
        heatmaps[0, level - 2, row, column] = 0.95
        place = place + prior.mean[level] if level < SACRAL else place
    checkpoint = {"levels": levels, "resolution": 1.0, "prior": None, "output": "logits"}
    labeller = Labeller(checkpoint, "none", torch.device("cpu"), build_model("hourglass", 25, stacks=1, features=16))
    found = labeller.discs(heatmaps, np.zeros(1), (240, 160))
    assert found.levels.tolist() == [21, 22, 23, 24, 25]
    assert len(found.heatmaps) == len(labeller.levels) == 24


def test_the_doubt_of_a_place_is_what_its_evidence_leaves():
    evidence = np.array([[0.0, 0.0], [0.3, 0.2], [0.35, 0.6], [0.9, 0.099], [0.9, 0.8]])
    np.testing.assert_allclose(doubt_of(evidence), [DOUBT, DOUBT, 0.05, LEAST_DOUBT, LEAST_DOUBT])
    # Noise has a little for every name, 1.44 in all, but none that is plain.
    np.testing.assert_allclose(doubt_of(np.full((1, 24), 0.06)), [DOUBT])


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_nothing_usable_gives_no_disc(value):
    doubt = np.array([DOUBT])
    candidates = [(np.array([[10.0, 10.0]]), np.array([value if value == 0 else np.nan]), doubt) for _ in LEVELS]
    candidates[0] = (np.array([[value or np.nan, 10.0]]), np.array([0.9]), doubt)
    assert search(candidates, LEVELS, typical_prior(), (300, 200)) == Chain({}, 0.0, {})


def test_one_disc_and_a_tie_are_answers():
    tie = (np.array([[50.0, 50.0], [50.0, 50.0]]), np.array([0.9, 0.9]), np.full(2, DOUBT))
    one = [NOTHING, tie] + [NOTHING] * 4
    assert list(search(one, LEVELS, typical_prior(), (300, 200)).picks) == [21]


def test_prior_is_learned_relative_to_size_and_kept_in_plain_values():
    spines = [(straight(LEVELS, size=size), LEVELS) for size in (0.8, 1.0, 1.3)] * 20
    prior = learn_prior(spines, typical_prior())
    for level in LEVELS[:-1]:
        np.testing.assert_allclose(prior.mean[level], [TYPICAL_GAP_MM[level], 0], atol=0.01)
    again = Prior.from_dict(prior.to_dict())
    np.testing.assert_array_equal(again.covariance, prior.covariance)


def test_the_margin_is_that_to_the_better_shifted_chain():
    spine, prior, extent = straight(LEVELS[1:-1]), typical_prior(), (300, 200)
    levels = np.array(LEVELS[1:-1])
    clear_evidence = np.full(4, 0.9)
    certain = np.full(4, LEAST_DOUBT)  # every place has more than 1 of evidence in all
    score = chain_score(spine, clear_evidence, certain, levels, prior, extent)
    # The heatmaps of one level higher show as much: the geometry alone speaks, and that hardly.
    higher = {level: clear_evidence if level < 24 else np.full(4, 1e-3) for level in [20, *LEVELS, 26]}
    alike = shift_margin(spine, levels, higher, score, prior, extent)
    assert alike == pytest.approx(score - chain_score(spine, clear_evidence, certain, levels - 1, prior, extent))
    # Now they show a tenth for every other name: log(9) for each of four discs more.
    clear = shift_margin(spine, levels, {level: np.full(4, 0.1) for level in range(1, 26)}, score, prior, extent)
    # None of these is plain: DOUBT stands for such places.
    others = max(
        chain_score(spine, clear_evidence, np.full(4, DOUBT), levels + step, prior, extent) for step in (-1, 1)
    )
    assert clear == pytest.approx(score - others + 4 * np.log(9))
    assert np.isnan(shift_margin(np.zeros((0, 2)), np.zeros(0, int), {}, 0.0, prior, extent))


def test_no_output_has_discs_out_of_order_or_too_close():
    network = build_model("hourglass", 24, stacks=1, features=16, in_channels=1)
    checkpoint = {"levels": list(range(2, 26)), "resolution": 1.0, "prior": None, "output": "logits"}
    labeller = Labeller(checkpoint, "random", torch.device("cpu"), network)
    prior, rng = labeller.prior, np.random.default_rng(1)
    for trial in range(1000):
        # From clean spots to noise, in one slab or three, with a few values that are no numbers.
        shape = (rng.integers(1, 4), 24, rng.integers(4, 100), rng.integers(4, 60))
        heatmaps = rng.random(shape, np.float32) ** rng.uniform(0.5, 60)
        if trial % 10 == 0:
            heatmaps[0, rng.integers(24)] = rng.choice([np.nan, np.inf, -np.inf, 1.0])
        found = labeller.discs(heatmaps, 6.0 * np.arange(shape[0]), (4 * shape[2], 4 * shape[3]))
        assert np.isfinite(found.points).all() and np.isfinite(found.across).all()
        assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
        for (a, upper), (b, lower) in itertools.combinations(zip(found.levels, found.points, strict=True), 2):
            expected = SIZES.min() * np.linalg.norm(prior.mean[a:b].sum(0))
            assert a < b and lower[0] - upper[0] >= expected / 3 - 1e-6
