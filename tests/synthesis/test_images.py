"""Images made in batches: points stay on their tissue, states follow the view, equal seeds give equal images."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from utils.discs import SACRAL
from utils.inference.heatmaps import render
from utils.inference.second_pass import mask_to_spine
from utils.scans.sagittal import normalise
from utils.scans.sample import OUTSIDE, PRESENT, UNKNOWN
from utils.synthesis import images as synthetic
from utils.synthesis import scanner
from utils.synthesis.anatomy import Anatomy, generate_anatomy
from utils.synthesis.batch_random import BatchRandom
from utils.synthesis.batches import CHANNELS, SyntheticBatches, render_batch, validation_samples
from utils.synthesis.canvas import CSF, PIXEL_MM, TISSUES
from utils.synthesis.images import SIZE, Bank, generate_bank, generate_images
from utils.synthesis.views import draw_window, shown_in_second_pass, slide, states_of


@pytest.fixture(scope="module")
def bank():
    return Bank([generate_anatomy(np.random.default_rng(seed)) for seed in range(2)], 2)


def dots():
    """Return maps with a dot at each disc, in the middle plane alone."""
    points = np.full((27, 2), np.nan)
    points[1:] = np.stack([100 + 25.0 * np.arange(26), 160 + 20 * np.sin(np.arange(26) / 4)], -1)
    maps = np.zeros((4, 1720, 660), np.uint8)
    for row, column in np.round(points[1:] / PIXEL_MM).astype(int):
        maps[0, row - 3 : row + 4, column - 3 : column + 4] = CSF
    shift, widths = np.zeros(1720), np.tile([5.0, 8.0, 12.0], (1720, 1))
    return Anatomy(maps, points, shift, widths, points[:26])


def test_points_stay_on_their_tissue_however_the_view_is_bent(monkeypatch):
    signal = torch.zeros(8, len(TISSUES))
    signal[:, CSF] = 1.0
    monkeypatch.setattr(synthetic, "draw_signals", lambda draw: signal)
    monkeypatch.setattr(synthetic, "add_faults", lambda draw, image, points: image)
    monkeypatch.setattr(synthetic, "normalise_images", lambda image, filled: image)
    images, points, states = generate_images(Bank([dots()], 1), 8, torch.Generator().manual_seed(0))
    away = []
    for image, place, state in zip(images[:, 0].numpy(), points.numpy(), states.numpy(), strict=True):
        for level in np.flatnonzero(state == PRESENT):
            row, column = place[level]
            if 6 < row < SIZE - 7 and 6 < column < SIZE - 7:
                low = np.round(place[level]).astype(int) - 5
                part = image[low[0] : low[0] + 11, low[1] : low[1] + 11]
                if part.max() > 0.5:  # else the dot lies beside the slab, or outside of the window
                    away.append(ndimage.center_of_mass(part) + low - [row, column])
    # Dots are drawn to a quarter of a pixel, and some are cut by the window.
    assert len(away) > 20
    assert np.abs(np.mean(away, 0)).max() < 0.15 and np.abs(away).max() < 1.0


def test_what_lies_before_and_behind_the_spine_slides_along_it():
    bank = Bank([dots()], 1)
    tips = dots().points
    row = torch.full((1, 1, 4), float(tips[10, 0]))
    beside = torch.tensor([-60.0, -40.0, 20.0, 40.0])  # before the bodies, in one, in the canal, behind it
    column = tips[10, 1] + beside.view(1, 1, 4).float()
    rows, columns = slide(bank, torch.tensor([0]), (row, column), torch.tensor([25.0]), torch.tensor([-50.0]))
    # Discs lie 25 mm below each other here: what is before is that of the next one, what is behind of the last but one.
    expected = np.array([tips[11], tips[10], tips[10], tips[8]])
    np.testing.assert_allclose(rows[0, 0], expected[:, 0], atol=1e-3)
    np.testing.assert_allclose(columns[0, 0], expected[:, 1] + beside.numpy(), atol=0.3)  # lines have steps of 0.5 mm


def test_an_image_masked_to_the_spine_is_what_the_second_pass_shows():
    bank, which = Bank([dots()], 1), torch.tensor([0])
    points = torch.from_numpy(dots().points - [200, 60])[None].float()
    pixel = torch.arange(SIZE).float()
    row, column = torch.meshgrid(pixel + 200, pixel + 60, indexing="ij")
    states = torch.zeros(1, 27)
    states[0, 6:12] = PRESENT
    states[0, [1, SACRAL]] = PRESENT  # joints that no pass is masked by, since they are not reported
    shown = shown_in_second_pass(bank, which, (row[None], column[None]), points, states)[0].numpy()
    expected = mask_to_spine(np.ones((1, SIZE, SIZE)), dots().points[6:12] - [200, 60], 1.0)[0]
    rows = slice(30, 150)  # between first and last disc; the lines beyond them differ, and all is shown there
    assert (shown[rows] != expected[rows]).mean() < 0.005  # tips of the bank are read to half a millimetre
    assert 0.2 < shown.mean() < 0.9 and (shown[:10] == 1).all()


def test_a_level_is_present_where_slab_and_window_show_it():
    points = torch.full((1, 27, 2), 100.0)
    points[0, 3] = torch.tensor([100.0, 300.0])  # beyond the image
    points[0, 4] = torch.tensor([10.0, 100.0])  # in a part that is cut off
    window = torch.ones(1, 1, SIZE, SIZE)
    window[:, :, :50] = 0
    which = torch.tensor([0])
    bank = Bank([dots()], 1)
    for depth, expected in ((0.0, PRESENT), (4.9, PRESENT), (-8.0, UNKNOWN), (14.5, OUTSIDE)):
        states = states_of(bank, which, points, window, torch.tensor([depth]))[0]
        assert states[2] == expected and states[3] == OUTSIDE and states[4] == OUTSIDE


def test_an_image_of_noise_has_no_disc(bank, monkeypatch):
    monkeypatch.setattr(synthetic, "NOTHING_SHARE", 1.0)
    images, _, states = generate_images(bank, 4, torch.Generator().manual_seed(0))
    assert (states == OUTSIDE).all()
    assert 0 <= images.min() and images.max() <= 1
    # Rayleigh noise of any grain: the mean is sqrt(pi / 2) and the spread sqrt(2 - pi / 2) times the same number.
    spread = images.flatten(1).std(1) / images.flatten(1).mean(1)
    np.testing.assert_allclose(spread, np.sqrt(4 / np.pi - 1), rtol=0.25)


def test_where_fluid_outshines_all_the_rest_is_as_it_was(monkeypatch):
    signals = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(scanner, "BRIGHT_FLUID_SHARE", share)
        monkeypatch.setattr(scanner, "KNOWN_CONTRAST", 1.0)
        signals.append(scanner.draw_signals(BatchRandom(torch.Generator().manual_seed(1), "cpu", 64)))
    ratio = (signals[1] / signals[0]).numpy()
    assert ratio[:, CSF].min() >= 1 and 2 < ratio[:, CSF].max() < np.exp(1.2)
    assert (np.delete(ratio, CSF, axis=1) == 1).all()


def test_images_are_normalised_as_scans_are():
    image = np.random.default_rng(0).gamma(2.0, 1.0, (SIZE, SIZE)).astype(np.float32)
    image[:40] = 0
    found = scanner.normalise_images(torch.from_numpy(image)[None, None], torch.from_numpy(image > 0)[None, None])
    # Its percentiles are of an eighth of the pixels.
    np.testing.assert_allclose(found[0, 0], normalise(image), atol=0.03)


def test_equal_seeds_epochs_and_steps_give_equal_batches(bank):
    batches = SyntheticBatches(bank, 2, seed=5)
    first = batches.batch(3, 7)
    assert all(torch.equal(a, b) for a, b in zip(first, batches.batch(3, 7), strict=True))
    for epoch, step in ((3, 8), (4, 7)):
        assert not torch.equal(batches.batch(epoch, step)[0], first[0])
    assert first[0].shape == (2, 1, SIZE, SIZE) and first[1].shape == (2, len(CHANNELS), SIZE // 4, SIZE // 4)
    assert 0 <= first[0].min() and first[0].max() <= 1


def test_targets_are_those_of_prepared_slices():
    sample = validation_samples(4, 1)[0]
    points, states = torch.full((1, 27, 2), float("nan")), torch.zeros(1, 27)
    points[0, sample.levels] = torch.from_numpy(sample.points.astype(np.float32))
    states[0, sample.levels] = PRESENT
    points = points.nan_to_num(0)
    points[0, SACRAL], states[0, SACRAL] = torch.tensor([200.0, 130.0]), PRESENT
    places, levels = np.append(sample.points, [[200.0, 130.0]], 0), [*sample.levels, SACRAL]
    expected = render(places, [CHANNELS.index(k) for k in levels], len(CHANNELS), (SIZE, SIZE), 4.0, 1.0)
    np.testing.assert_allclose(render_batch(points, states)[0], expected, atol=1e-4)


def test_a_view_may_begin_below_the_skull_and_its_discs_above_are_outside():
    points = torch.zeros(400, 27, 2)
    points[:, :, 0], points[:, :, 1] = 20.0 * torch.arange(27), 128.0  # the joint above C1 in row 20
    window = draw_window(BatchRandom(torch.Generator().manual_seed(0), "cpu", 400), points)[:, 0, :, 128]
    first = window.argmax(1)
    begins = (first > 0) & (first <= 70)
    # From 30 mm above C1 to 50 mm below it, in three of ten; what is cropped or rotated comes on top of them.
    assert 0.2 < begins.float().mean() < 0.6 and (window.sum(1) > 60).float().mean() > 0.95
    which, shown = torch.zeros(400, dtype=torch.long), window[:, None, :, None].expand(-1, 1, -1, SIZE)
    states = states_of(Bank([dots()], 1), which, points, shown, torch.zeros(400))
    cut = first > 41
    assert cut.sum() > 20 and (states[cut, 2] == OUTSIDE).all()


def test_processes_share_the_anatomies_of_a_bank():
    whole, *shares = (generate_bank(3, 5, own=own) for own in (slice(None), slice(0, None, 2), slice(1, None, 2)))
    assert [len(bank) for bank in (whole, *shares)] == [3, 2, 1]
    assert torch.equal(whole.maps[[0, 2]], shares[0].maps) and torch.equal(whole.maps[1:2], shares[1].maps)
