"""What is known of every level, how a crop changes it, and the losses that follow from it."""

import argparse

import numpy as np
import pytest
import torch
from builders import lumbar

from utils.discs import SACRAL, name, parse_levels, region
from utils.scans.sample import (
    OUTSIDE,
    PRESENT,
    UNKNOWN,
    from_integers,
    level_states,
    likely_points,
    load_sample,
    save_sample,
    to_integers,
)
from utils.system.files import UserError
from utils.training.augment import crop_map
from utils.training.loss import focal_loss, mse_loss
from utils.training.slices import Order, TrainingSlices, place, transform


def test_names_and_regions():
    assert [name(level) for level in (1, 2, 3, 8, 20, 25)] == ["above C1", "C1-C2", "C2-C3", "C7-T1", "T12-L1", "L5-S1"]
    assert [region(level) for level in (2, 8, 9, 20, 21, 25)] == ["cervical"] * 2 + ["thoracic"] * 2 + [
        "lumbar",
        "sacral",
    ]
    assert parse_levels("2,20-22") == (2, 20, 21, 22) and parse_levels(" 25, 3-4") == (3, 4, 25)


@pytest.mark.parametrize("text", ["25-21,3", "2_5", "", "2,", "-3", "2-", "0", "26", "2-1000000000000", "x"])
def test_levels_that_are_none_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        parse_levels(text)


def test_levels_beyond_the_labels_are_unknown_or_outside():
    # L1-L2 lies at row 60: T12-L1 at 60 - 34 = 26, T11-T12 at 26 - 32 = -6: less than 10 mm out; T10-T11 at -36.
    sample = lumbar()
    assert (sample.states[21:26] == PRESENT).all()
    assert sample.states[20] == UNKNOWN and sample.states[19] == UNKNOWN
    assert (sample.states[1:19] == OUTSIDE).all()
    np.testing.assert_allclose(likely_points(sample.points, sample.levels)[18:21, 0], [-36, -6, 26], atol=1e-9)


def test_a_level_left_out_in_the_middle_is_unknown():
    sample = lumbar()
    keep = sample.levels != 23
    states = level_states(sample.points[keep], sample.levels[keep], (240, 120), 1.0)
    assert states[23] == UNKNOWN
    np.testing.assert_allclose(likely_points(sample.points[keep], sample.levels[keep])[23], sample.points[2])


def test_one_disc_alone_tells_nothing_of_the_others():
    states = level_states([[5.0, 5.0]], [9], (100, 100), 1.0)
    assert states[9] == PRESENT and (np.delete(states, 9) == UNKNOWN).all()


def test_a_crop_makes_discs_outside_and_never_moves_them_to_the_border():
    sample = lumbar()
    whole = crop_map(sample.image.shape, (256, 256))
    window = (0, 120, 0, 256)  # the slice begins at row 8 of the crop: rows above 112 of the slice stay
    _, points, levels, states = place(whole, sample, window)
    assert levels.tolist() == [21, 22]
    np.testing.assert_allclose(points, sample.points[:2] + [8, 68])
    assert (states[23:26] == OUTSIDE).all() and states[20] == UNKNOWN
    # With the upper edge at the slice's row 42, T12-L1 at 26 is 16 mm out.
    _, _, levels, states = place(whole, sample, (50, 256, 0, 256))
    assert states[20] == OUTSIDE and levels.tolist() == [21, 22, 23, 24, 25]


def test_items_depend_on_seed_epoch_and_index_alone():
    samples = [lumbar(top=50.0 + 5 * k) for k in range(3)]
    first, second = (
        TrainingSlices(samples, range(2, 26), 4.0, augment=True, seed=5, order=Order([len(samples)], 7, 5))
        for _ in range(2)
    )
    first.epoch = second.epoch = 4
    second[1]
    for a, b in zip(first[3], second[3], strict=True):
        assert np.array_equal(a, b)
    first.epoch = 5
    assert not torch.equal(first[3][0], second[3][0])
    seen = []
    for first.epoch in (0, 1, 2):
        seen += [id(first.sample_of(index)) for index in range(7)]
    assert sorted(seen.count(id(sample)) for sample in samples) == [7, 7, 7]


def test_augmented_points_stay_in_the_image_and_weights_follow_states():
    sample = lumbar()
    for seed in range(30):
        image, points, levels, states = transform(np.random.default_rng(seed), sample)
        assert image.shape == (256, 256) and image.dtype == np.float32 and 0 <= image.min() and image.max() <= 1
        assert ((points >= 0) & (points <= 255)).all()
        assert (states[levels] == PRESENT).all()
    _, target, weight, _ = TrainingSlices([sample], range(2, 26), 4.0)[0]
    assert target.shape == (24, 64, 64)
    assert (weight[[*range(17), *range(19, 24)]] == 1).all()
    # T11-T12 and T12-L1 are unknown, but known not to lie where L1-L2 does, which is at row 68 and column 128 of the
    # crop, and so a third of a cell from the cell (17, 32). Where T12-L1 would lie, at row 34, nothing is learned.
    for level in (17, 18):
        assert weight[level, 17, 32] == pytest.approx(np.exp(-0.5 * 2 * 0.375**2), abs=1e-3)
        assert weight[level, 8, 32] < 1e-8 and target[level].sum() == 0
    # So it is with S1-S2, which has no labels, for weights that know it.
    _, target, longer, _ = TrainingSlices([sample], [*range(2, 26), SACRAL], 4.0)[0]
    assert target.shape == (25, 64, 64) and torch.equal(longer[:24], weight) and torch.equal(longer[24], weight[18])


def test_discs_of_a_curved_spine_that_the_slice_does_not_show_are_not_learned_there():
    sample = lumbar()
    sample.across = np.array([0.0, 0.0, 4.0, 8.0, -20.0])  # L4-L5 may be seen, L5-S1 is not
    _, target, weight, _ = TrainingSlices([sample], range(2, 26), 4.0)[0]
    shown = [level for level, heatmap in zip(range(2, 26), target, strict=True) if heatmap.max() > 0.5]
    assert shown == [21, 22, 23]
    assert float(weight[24 - 2].min()) < 0.01 and float(weight[25 - 2].min()) == 1


def test_samples_come_back_and_pickles_are_refused(tmp_path):
    sample = lumbar()
    save_sample(tmp_path / "a.npz", sample, np.zeros((24, 60, 30)))
    again = load_sample(tmp_path / "a.npz")
    for key in ("image", "points", "levels", "states"):
        np.testing.assert_allclose(getattr(again, key), getattr(sample, key), atol=1e-5)
    assert (again.name, again.subject, again.source, again.spacing) == ("sub-1_T2w", "sub-1", "here", 1.0)
    np.savez(tmp_path / "b.npz", image=np.array([{}], object))
    (tmp_path / "c.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:500])
    for bad in ("b.npz", "c.npz"):
        with pytest.raises(UserError, match="no prepared sample"):
            load_sample(tmp_path / bad)


def test_slabs_are_stored_as_whole_numbers_of_16_bits():
    slabs = np.array([[[0, 0.5, 1, 0.999]]], np.float32)  # 0.999 x 65535 = 65469.465
    stored = to_integers(slabs)
    assert stored.dtype == np.uint16 and stored.tolist() == [[[0, 32768, 65535, 65469]]]
    np.testing.assert_allclose(from_integers(stored), slabs, atol=0.5 / 65535)
    assert from_integers(stored).max() == 1


def test_slabs_of_older_data_are_read_as_they_are():
    np.testing.assert_array_equal(from_integers(np.array([[[0.25, 1]]], np.float16)), [[[0.25, 1]]])


def test_losses_by_hand():
    target = torch.zeros(1, 2, 2, 2)
    target[0, 0, 0, 0] = 1.0
    output = torch.zeros(1, 2, 2, 2)
    # Sigmoid 0.5 everywhere: the positive costs 0.25 ln 2, each of the three others of its map as much.
    known = torch.tensor([1.0, 0.0])[None, :, None, None]
    assert focal_loss([output], target, known).item() == pytest.approx(4 * 0.25 * np.log(2))
    both = torch.ones(1, 2, 1, 1)
    assert focal_loss([output, output], target, both).item() == pytest.approx(8 * 0.25 * np.log(2))
    # Of the second map one cell alone is known, and it by half.
    part = torch.ones(1, 2, 2, 2)
    part[0, 1] = torch.tensor([[0.5, 0.0], [0.0, 0.0]])
    assert focal_loss([output], target, part).item() == pytest.approx(4.5 * 0.25 * np.log(2))
    # One cell of eight is off by 1; two stacks add up; the masked map counts as right.
    assert mse_loss([output, output], target, both).item() == pytest.approx(2 / 8)
    assert mse_loss([output], target, 1 - known).item() == 0
    # A disc that is absent is not learned, whatever its heatmap shows.
    wrong = torch.ones_like(output)
    assert mse_loss([wrong], target, both).item() == pytest.approx(3 / 8)
