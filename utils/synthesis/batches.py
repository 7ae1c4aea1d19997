"""Synthetic images as training batches without end, and as a fixed validation set."""

import numpy as np
import torch

from utils.discs import LAST, LEVELS, SACRAL
from utils.inference.heatmaps import STRIDE
from utils.scans.plane import Plane
from utils.scans.sample import PRESENT, UNKNOWN, Sample
from utils.synthesis.images import SIZE, generate_bank, generate_images

RESOLUTION_MM, SIGMA_MM = 1.0, 4.0
CHANNELS = [*LEVELS, SACRAL]  # of a network that is trained on synthetic images
VALIDATION_SEED = 10**6  # of anatomies that no training sees


class SyntheticBatches:
    """Batches without end, made on the device; equal for equal seed, epoch and step.

    Parameters
    ----------
    bank : utils.synthesis.images.Bank
    batch_size : int
    seed : int
    """

    def __init__(self, bank, batch_size, seed=0):
        self.bank, self.batch_size, self.seed = bank, batch_size, seed

    def batch(self, epoch, step):
        """Return images (B, 1, H, W), targets (B, C, H/4, W/4), weights (B, C, 1, 1) and numbers (B,)."""
        state = np.random.SeedSequence([self.seed, epoch, step]).generate_state(1, np.uint64)[0]
        generator = torch.Generator(self.bank.maps.device).manual_seed(int(state >> 1))
        images, points, states = generate_images(self.bank, self.batch_size, generator)
        numbers = torch.arange(self.batch_size) + step * self.batch_size
        known = (states[:, CHANNELS] != UNKNOWN).float()[..., None, None]
        return images, render_batch(points, states), known, numbers


def render_batch(points, states):
    """Render heatmaps as `utils.inference.heatmaps.render` does, for a batch on its device.

    Parameters
    ----------
    points : (B, 27, 2) tensor
        Row and column in pixels.
    states : (B, 27) tensor

    Returns
    -------
    (B, 25, SIZE / 4, SIZE / 4) tensor
    """
    places = (points[:, CHANNELS] + 0.5) / STRIDE - 0.5
    cells = torch.arange(SIZE // STRIDE, device=points.device)
    sigma = SIGMA_MM / RESOLUTION_MM / STRIDE
    down, back = (torch.exp(-0.5 * ((cells - places[..., k, None]) / sigma) ** 2) for k in (0, 1))
    present = (states[:, CHANNELS] == PRESENT).float()[..., None, None]
    return (down[..., :, None] * back[..., None, :]) * present


def validation_samples(count=64, anatomies=32):
    """Return a fixed set of synthetic samples from anatomies of their own."""
    generator = torch.Generator().manual_seed(VALIDATION_SEED)
    images, points, states = generate_images(generate_bank(anatomies, VALIDATION_SEED), count, generator)
    samples = []
    for index, (image, place, state) in enumerate(zip(images.numpy(), points.numpy(), states.numpy(), strict=True)):
        levels = np.array([level for level in LEVELS if state[level] == PRESENT], int)
        if len(levels):
            plane = Plane(
                np.zeros(3), np.array([0, 0, -1.0]), np.array([0, -1.0, 0]), np.array([1.0, 0, 0]), (SIZE,) * 2
            )
            samples.append(
                Sample(
                    f"synthetic{index:03d}",
                    f"synthetic{index:03d}",
                    "synthetic",
                    "synthetic",
                    image[0],
                    place[levels].astype(float),
                    levels,
                    state[: LAST + 1],
                    np.zeros(len(levels)),
                    plane,
                    image,
                    np.zeros(1),
                )  # fmt: skip
            )
    return samples
