"""The slices that a network is trained on: cut to one size, augmented, with target heatmaps."""

from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import Dataset

from utils.inference.heatmaps import render
from utils.scans.sample import OUTSIDE, PRESENT, UNKNOWN, likely_points
from utils.training.augment import change_intensity, crop_map, sample_map, sample_window

CROP = (256, 256)
SLAB_SHARE = 0.4  # of the items that show a slab of the volume, instead of the one through the labels


class TrainingSlices(Dataset):
    """Prepared samples as (image, target heatmaps, weights) for the loss.

    An item depends on the seed, the epoch and its index alone: neither the number of workers nor a
    resumed run changes it.

    Parameters
    ----------
    samples : list of Sample
    levels : sequence of int
        Level of each channel.
    sigma_mm : float
        Standard deviation of the target Gaussians.
    augment : bool
        Random transforms; without them slices are cut or padded about their middle.
    seed : int
    length : int, optional
        Items in an epoch; more than there are samples takes them again.
    """

    def __init__(self, samples, levels, sigma_mm, augment=False, seed=0, length=None):
        self.samples, self.levels, self.sigma_mm = samples, list(levels), sigma_mm
        self.augment, self.seed, self.epoch = augment, seed, 0
        self.length = length or len(samples)

    def __len__(self):
        """Return the number of items in an epoch."""
        return self.length

    def sample_of(self, index):
        """Return the sample behind an item: every sample comes once before any comes again."""
        if not self.augment:
            return self.samples[index]
        round_, place = divmod(self.epoch * self.length + index, len(self.samples))
        order = np.random.default_rng([self.seed, 1, round_]).permutation(len(self.samples))
        return self.samples[order[place]]

    def __getitem__(self, index):
        """Return image (1, H, W), target and weight (C, H/4, W/4), and the item's index."""
        sample = self.sample_of(index)
        if self.augment:
            rng = np.random.default_rng([self.seed, 2, self.epoch, index])
            if rng.random() < SLAB_SHARE:
                sample = sample.in_slab(rng.integers(len(sample.slabs)))
            image, points, levels, states = transform(rng, sample)
        else:
            image, points, levels, states = place(crop_map(sample.image.shape, CROP), sample)
        channels = [self.levels.index(level) for level in levels if level in self.levels]
        known = np.array([level in self.levels for level in levels], bool)
        target = render(points[known], channels, len(self.levels), CROP, self.sigma_mm, sample.spacing)
        unknown = np.append(states, UNKNOWN)[self.levels] == UNKNOWN  # nobody labels S1-S2
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
    slabs = [shape_map.image(slab.astype(np.float32)) for slab in sample.slabs]
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
