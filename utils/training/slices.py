"""The slices that a network is trained on: cut to one size, augmented, with target heatmaps."""

from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import Dataset

from utils.inference.heatmaps import render
from utils.inference.second_pass import mask_to_spine
from utils.scans.sample import OUTSIDE, PRESENT, UNKNOWN, likely_points
from utils.training.augment import change_intensity, crop_map, sample_map, sample_window

CROP = (256, 256)
SLAB_SHARE = 0.4  # of the items that show a slab of the volume, instead of the one through the labels


class Order:
    """Which sample each item of an epoch shows: every sample of a data set once before any of it comes again.

    Data sets share an epoch in proportion to the square roots of their sizes: in proportion to the sizes
    themselves, a hundred cervical scans would vanish among a thousand lumbar ones.

    Parameters
    ----------
    sizes : sequence of int
        Samples in each data set; samples are numbered through all of them.
    length : int
        Items in an epoch.
    seed : int
    """

    def __init__(self, sizes, length, seed):
        self.sizes, self.length, self.seed = list(sizes), length, seed
        ends = np.cumsum(np.sqrt(self.sizes))
        self.counts = np.diff(np.round(length * ends / ends[-1]).astype(int), prepend=0)

    def epoch(self, epoch):
        """Return the samples (length,) of an epoch's items."""
        numbers = np.concatenate([
            first + self._turn(epoch * count + np.arange(count), size)
            for first, count, size in zip(np.cumsum([0, *self.sizes]), self.counts, self.sizes, strict=False)
        ])  # fmt: skip
        if len(self.sizes) == 1:
            return numbers
        return numbers[np.random.default_rng([self.seed, 4, epoch]).permutation(self.length)]

    def _turn(self, items, size):
        """Return the samples of a data set that its items show, counted from the first epoch on."""
        rounds, places = np.divmod(items, size)
        orders = {one: np.random.default_rng([self.seed, 1, one]).permutation(size) for one in np.unique(rounds)}
        return np.array([orders[one][place] for one, place in zip(rounds, places, strict=True)], int)


class TrainingSlices(Dataset):
    """Prepared samples as (image, target heatmaps, weights) for the loss.

    An item depends on the seed, the epoch and its index alone: neither the number of workers nor a
    resumed run changes it.

    Parameters
    ----------
    samples : sequence of Sample
    levels : sequence of int
        Level of each channel.
    sigma_mm : float
        Standard deviation of the target Gaussians.
    augment : bool
        Random transforms; without them slices are cut or padded about their middle.
    seed : int
    order : Order, optional
        Of the samples; as they stand by default.
    masked : float
        Share of the items that are masked to the spine, as in the second pass over a scan.
    """

    def __init__(self, samples, levels, sigma_mm, augment=False, seed=0, order=None, masked=0.0):
        self.samples, self.levels, self.sigma_mm = samples, list(levels), sigma_mm
        self.augment, self.seed, self.epoch = augment, seed, 0
        self.order, self.masked = order, masked
        self.shown = None, None

    def __len__(self):
        """Return the number of items in an epoch."""
        return self.order.length if self.order else len(self.samples)

    def sample_of(self, index):
        """Return the sample behind an item."""
        if self.order is None:
            return self.samples[index]
        if self.shown[0] != self.epoch:
            self.shown = self.epoch, self.order.epoch(self.epoch)
        return self.samples[self.shown[1][index]]

    def __getitem__(self, index):
        """Return image (1, H, W), target and weight (C, H/4, W/4), and the item's index."""
        sample = self.sample_of(index)
        if self.augment:
            rng = np.random.default_rng([self.seed, 2, self.epoch, index])
            beside = rng.random() < SLAB_SHARE
            sample = sample.in_slab(rng.integers(len(sample.slabs))) if beside else sample.in_plane()
            image, points, levels, states = transform(rng, sample)
            if rng.random() < self.masked and len(points):
                image = mask_to_spine(image[None], points, sample.spacing)[0]
        else:
            image, points, levels, states = place(crop_map(sample.image.shape, CROP), sample.in_plane())
        channels = [self.levels.index(level) for level in levels if level in self.levels]
        known = np.array([level in self.levels for level in levels], bool)
        target = render(points[known], channels, len(self.levels), CROP, self.sigma_mm, sample.spacing)
        unknown = np.append(states, UNKNOWN)[self.levels] == UNKNOWN  # S1-S2 has no labels
        weight = np.ones_like(target)
        # Of a disc that was not labelled one thing is known: it does not lie where another one was.
        weight[unknown] = target.max(0)
        return torch.from_numpy(image)[None], torch.from_numpy(target), torch.from_numpy(weight), index


def transform(rng, sample):
    """Draw an augmented version of a sample; see `place` for what it returns."""
    shape_map, window, inside = _view(rng, sample)
    image, points, levels, states = place(shape_map, sample, window)
    return change_intensity(rng, image) * inside, points, levels, states


def transform_slabs(rng, sample):
    """Draw an augmented version of a sample with all of its slabs; returns a `Sample`."""
    shape_map, window, inside = _view(rng, sample)
    _, points, levels, states = place(shape_map, sample, window)
    seed = rng.integers(2**32)  # one scanner for all slabs
    slabs = [shape_map.image(slab) for slab in sample.slabs]
    slabs = [change_intensity(np.random.default_rng(seed), slab) * inside for slab in slabs]
    across = sample.across[np.isin(sample.levels, levels)]
    return replace(sample, points=points, levels=levels, states=states, across=across, slabs=np.stack(slabs))


def _view(rng, sample):
    """Draw a map, a window of its output, and the mask (H, W) of that window."""
    shape_map = sample_map(rng, sample.image.shape, sample.points, CROP)
    window = sample_window(rng, CROP, shape_map.points(sample.points))
    inside = np.zeros(CROP, np.float32)
    inside[window[0] : window[1], window[2] : window[3]] = 1
    return shape_map, window, inside


def place(shape_map, sample, window=None):
    """Carry a sample into a training image.

    A disc that leaves the window is outside from then on; one that may be visible but was not labelled
    becomes outside once its likely place has left the window by more than 10 mm.

    Parameters
    ----------
    shape_map : Map
    sample : Sample
    window : (top, bottom, front, back), optional
        What is in view of the output, in pixels; all of it by default.

    Returns
    -------
    image : (H, W) float32
    points : (N, 2), levels : (N,)
        The discs in view.
    states : (26,) int8
        PRESENT, OUTSIDE or UNKNOWN, by level.
    """
    top, bottom, front, back = window if window is not None else (0, shape_map.shape[0], 0, shape_map.shape[1])

    def in_view(points, margin):
        low, high = np.array([top, front]) - margin, np.array([bottom, back]) - 1 + margin
        return ((points >= low) & (points <= high)).all(-1)

    states = sample.states.copy()
    points = shape_map.points(sample.points)
    seen = in_view(points, 0.0)
    states[sample.levels[~seen]] = OUTSIDE
    states[sample.levels[seen]] = PRESENT
    unknown = np.flatnonzero(states == UNKNOWN)
    places = likely_points(sample.points, sample.levels)[unknown]
    known_place = np.isfinite(places).all(-1)
    gone = known_place.copy()
    gone[known_place] = ~in_view(shape_map.points(places[known_place]), 10.0 / sample.spacing)
    states[unknown[gone]] = OUTSIDE
    return shape_map.image(sample.image), points[seen], sample.levels[seen], states
