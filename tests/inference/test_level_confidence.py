"""Level confidence: agreement counted by hand, the fit, and the cap on the discs."""

import numpy as np
import pytest
import torch

from utils.discs import LAST
from utils.inference.labeller import load_labeller
from utils.inference.level_confidence import LevelCalibration, agreement, features, fit_levels
from utils.inference.shipped import SHIPPED
from utils.scans.nifti import Scan
from utils.scans.sagittal import slabs_of
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.volumes import generate_volume


def test_agreement_is_the_share_of_discs_that_views_label_alike():
    points, levels = np.array([[10.0, 5.0], [40.0, 5.0]]), np.array([24, 25])
    alike = points + [3.9, 0.0], levels  # 7.8 mm at 2 mm per pixel
    shifted = points, np.array([23, 24])  # its 24 lies 30 pixels away
    assert agreement(points, levels, [alike, shifted], spacing=2.0) == 0.5
    assert agreement(points, levels, [(points + [4.1, 0.0], levels)], spacing=2.0) == 0.0
    assert agreement(points, levels, [(points[:1], levels[:1])], spacing=2.0) == 0.5
    assert agreement(points, levels, [(np.zeros((0, 2)), np.zeros(0, int))], spacing=2.0) == 0.0


def test_features_are_bounded_and_the_start_follows_the_margin():
    assert features([100.0, -100.0, 5.0], [1.0, 0.0, 0.75]).tolist() == [[1, 3, 0.5], [1, -1, -0.5], [1, 0.5, 0.25]]
    assert LevelCalibration().confidence(0.0, 0.5) == 0.5
    assert LevelCalibration().confidence(10.0, 0.0) == pytest.approx(1 / (1 + np.exp(-1)))


def test_the_fit_is_at_its_optimum():
    # Equal chains, three of four right: only the constant b moves, and 4 / (1 + exp(-b)) + b = 3.
    fitted = fit_levels(np.zeros(4), np.full(4, 0.5), np.array([True, True, True, False]))
    low, high = 0.0, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 4 / (1 + np.exp(-middle)) + middle < 3 else (low, middle)
    assert fitted.weights == pytest.approx([low, 1.0, 0.0], abs=1e-5)
    again = LevelCalibration.from_dict(fitted.to_dict())
    assert again.confidence(3.0, 0.5) == fitted.confidence(3.0, 0.5)


def test_chains_that_views_label_otherwise_get_a_lower_confidence():
    rng = np.random.default_rng(0)
    alike = rng.uniform(0, 1, 400)
    right = rng.uniform(0, 1, 400) < 0.5 + 0.45 * alike
    fitted = fit_levels(np.full(400, 5.0), alike, right)
    assert fitted.confidence(5.0, 0.0) < 0.65 < 0.85 < fitted.confidence(5.0, 1.0)


@pytest.fixture(scope="module")
def lumbar():
    """Return the slabs and offsets of a synthetic scan from T10-T11 down."""
    rng = np.random.default_rng([5, 1])
    anatomy = generate_anatomy(rng)
    top = anatomy.points[18, 0]
    volume = generate_volume(rng, anatomy, "T2w", (top, top + 260), (4.0, 1.0, 1.0))
    slabs, offsets, _ = slabs_of(Scan(volume.data, volume.affine))
    return slabs, offsets


def test_no_disc_is_more_confident_than_its_chain(lumbar):
    slabs, offsets = lumbar
    labeller = load_labeller(SHIPPED, torch.device("cpu"))
    labeller.level_calibration = None
    unknown = labeller.label(slabs, offsets)
    assert np.isnan(unknown.level_confidence) and np.isnan(unknown.agreement) and len(unknown.levels) >= 4
    labeller.level_calibration = LevelCalibration(np.array([99.0, 0.0, 0.0]))
    free = labeller.label(slabs, offsets)
    assert free.level_confidence == 1.0 and len(free.levels) >= 4
    labeller.level_calibration = LevelCalibration(np.array([-3.0, 0.0, 0.0]))
    capped = labeller.label(slabs, offsets)
    assert capped.level_confidence == pytest.approx(1 / (1 + np.exp(3)))
    assert np.array_equal(capped.levels, free.levels) and 0 <= capped.agreement <= 1
    assert np.array_equal(capped.confidence, np.minimum(free.confidence, capped.level_confidence))


def test_where_two_numberings_fit_no_level_is_more_likely_right_than_wrong(lumbar, monkeypatch):
    slabs, offsets = lumbar
    labeller = load_labeller(SHIPPED, torch.device("cpu"))
    labeller.level_calibration = LevelCalibration(np.array([3.0, 0.0, 0.0]))
    monkeypatch.setattr("utils.inference.labeller.other_numbering", lambda evidence, levels: -1)
    assert labeller.label(slabs, offsets).level_confidence == 0.5
    monkeypatch.setattr("utils.inference.labeller.other_numbering", lambda evidence, levels: 0)
    assert labeller.label(slabs, offsets).level_confidence == pytest.approx(1 / (1 + np.exp(-3)))


def test_the_other_numbering_is_of_the_whole_chain_also_where_l5_s1_is_not_kept(lumbar, monkeypatch):
    slabs, offsets = lumbar
    labeller = load_labeller(SHIPPED, torch.device("cpu"))
    monkeypatch.setattr("utils.inference.labeller.vertebrae", lambda *of_chain: 23)
    whole = labeller.label(slabs, offsets)
    assert whole.levels[-2:].tolist() == [LAST - 1, LAST] and whole.other_levels[LAST] == LAST - 1
    confidence_of = labeller.calibration.confidence

    class Unsure:
        threshold = 0.5

        def confidence(self, evidence, share, margin):
            lowest = whole.evidence[-1]  # that of L5-S1
            return np.where(evidence == lowest, 0.1, np.maximum(confidence_of(evidence, share, margin), 0.6))

    labeller.calibration = Unsure()
    without = labeller.label(slabs, offsets)
    assert LAST not in without.levels and without.levels.tolist()[-1] == LAST - 1
    assert without.other_levels[LAST - 1] == LAST - 2  # down from C2, as with L5-S1
    assert without.level_confidence <= 0.5
