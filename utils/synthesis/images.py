"""Endless training images of synthetic anatomies, with random contrasts, views and faults, in batches on the device.

Domain randomisation after SynthSeg (Billot et al. 2023): what a network never sees the same twice, such as
the intensity of a tissue, it cannot rely on; what stays the same, the anatomy, it learns.
"""

import numpy as np
import torch

from utils.scans.sample import OUTSIDE
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.batch_random import SIZE, BatchRandom
from utils.synthesis.canvas import AIR, PIXEL_MM
from utils.synthesis.scanner import add_faults, draw_noise, draw_signals, normalise_images
from utils.synthesis.views import (
    LOWEST_WITH_HEAD,
    View,
    draw_window,
    shown_in_second_pass,
    slide,
    states_of,
    tissues_at,
)
from utils.synthesis.volumes import TEXTURE
from utils.system.pool import processes

# Where in a pixel, in pixels, and where in the slab's depth, in thicknesses, its four samples lie.
SAMPLES = ((-0.375, -0.125, -0.375), (-0.125, 0.375, 0.125), (0.125, -0.375, 0.375), (0.375, 0.125, -0.125))
PARTS = ("maps", "points", "shift", "widths")
NOTHING_SHARE = 0.03  # of images that show noise and no spine


class Bank:
    """Synthetic anatomies on a device.

    Parameters
    ----------
    anatomies : iterable of utils.synthesis.anatomy.Anatomy
    count : int
        How many they are.
    device : torch.device or str

    Attributes
    ----------
    maps : (N, 4, H, W) uint8 tensor
        As in `utils.synthesis.anatomy.Anatomy`.
    points : (N, 27, 2) tensor
        In mm; a row of NaN at index 0.
    shift : (N, H) tensor, widths : (N, H, 3) tensor
        In mm.
    columns : (N, H) tensor
        Column of the line through the tips of the discs at each row, in mm.
    """

    def __init__(self, anatomies, count, device="cpu"):
        for index, anatomy in enumerate(anatomies):
            parts = {part: torch.from_numpy(getattr(anatomy, part)) for part in PARTS}
            if index == 0:  # filled one by one: a bank is most of what a training holds in memory
                for part, own in parts.items():
                    kind = torch.uint8 if part == "maps" else torch.float32
                    setattr(self, part, torch.empty(count, *own.shape, dtype=kind, device=device))
            for part, own in parts.items():
                getattr(self, part)[index] = own
        self.maps[:, :, [0, -1]] = self.maps[..., [0, -1]] = AIR
        rows = np.arange(self.shift.shape[1]) * PIXEL_MM
        lines = [np.interp(rows, tips[1:, 0], tips[1:, 1]) for tips in self.points.cpu().numpy()]
        self.columns = torch.tensor(np.array(lines), dtype=torch.float32, device=device)

    def __len__(self):
        """Return the number of anatomies."""
        return len(self.maps)


def _draw(seed):
    return generate_anatomy(np.random.default_rng(seed))


def generate_bank(count, seed, device="cpu", jobs=1, own=slice(None)):
    """Generate anatomies, 4.8 MB each, in ``jobs`` processes.

    Parameters
    ----------
    count : int
    seed : int
        Anatomies of different seeds differ.
    device : torch.device or str
    jobs : int
    own : slice
        Of the ``count`` anatomies, those to generate.

    Returns
    -------
    Bank
    """
    # None of them is one of make_phantom.py's subjects, whose seeds are two numbers.
    seeds = [[seed, index, 1] for index in range(count)[own]]
    if jobs == 1:
        return Bank(map(_draw, seeds), len(seeds), device)
    with processes(jobs) as pool:
        return Bank(pool.map(_draw, seeds, chunksize=16), len(seeds), device)


def generate_images(bank, count, generator):
    """Generate images with their discs.

    Parameters
    ----------
    bank : Bank
    count : int
    generator : torch.Generator
        On the bank's device.

    Returns
    -------
    images : (count, 1, 256, 256) tensor in 0..1
        Slices of 1 mm per pixel, normalised as `utils.scans.sagittal.normalise` does.
    points : (count, 27, 2) tensor
        Row and column in pixels by level, as in `utils.synthesis.anatomy.Anatomy`.
    states : (count, 27) int8 tensor
        PRESENT, OUTSIDE or UNKNOWN, by level.
    """
    draw = BatchRandom(generator, bank.maps.device, count)
    which = torch.randint(len(bank), (count,), generator=generator, device=draw.device)
    view = View(draw, bank.points[which])
    # Through the spine at the middle of the view as a rule, beside it sometimes.
    row = (view.centre[:, :1] / PIXEL_MM).long().clamp(0, bank.shift.shape[1] - 1)
    depth = torch.gather(bank.shift[which], 1, row)[:, 0] + draw.normal(0, 2.5)
    depth, thickness = depth + draw.chance(0.2) * draw.uniform(-22, 22), draw.uniform(3, 8)
    signal = draw_signals(draw)
    rough = torch.from_numpy(TEXTURE.astype(np.float32)).to(draw.device) * draw.uniform(0.15, 1.7)[:, None]
    image = torch.zeros(count, SIZE, SIZE, device=draw.device)
    texture = torch.zeros_like(image)
    # The head goes with the cervical spine.
    front = draw.chance(0.6) * draw.normal(0, 60) * (view.level > LOWEST_WITH_HEAD)
    behind = draw.chance(0.3) * draw.normal(0, 12) * (view.level > LOWEST_WITH_HEAD)
    pixels = view.source()
    for down, back, deep in SAMPLES:
        source = slide(bank, which, view.beside(pixels, down, back), front, behind)
        tissue = tissues_at(bank, which, source, depth + deep * thickness)
        image += torch.gather(signal, 1, tissue).view_as(image) / len(SAMPLES)
        texture += torch.gather(rough, 1, tissue).view_as(image) / len(SAMPLES)
    image = image * (1 + texture * draw.smooth(96) + 0.5 * texture * draw.smooth(32)).clamp(min=0.1)
    points = view.points(bank.points[which])
    image = add_faults(draw, image[:, None], points)
    window = draw_window(draw, points)
    states = states_of(bank, which, points, window, depth)
    image = normalise_images(image * window, window > 0)
    some = draw.chance(0.2) > 0
    places = [axis[some] for axis in pixels]
    image[some, 0] *= shown_in_second_pass(bank, which[some], places, points[some], states[some])
    nothing = draw.chance(NOTHING_SHARE) > 0
    image[nothing], states[nothing] = draw_noise(draw)[nothing], OUTSIDE
    return image, points, states
