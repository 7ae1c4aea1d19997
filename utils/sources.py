"""What a training takes its images from: prepared scans, or people drawn on the way."""

import os

from torch.utils.data import DataLoader

from utils.discs import LEVELS
from utils.randomise import draw_bank
from utils.recipes import RECIPES
from utils.sample import load_split, load_summary
from utils.synthetic import RESOLUTION_MM, SIGMA_MM, SyntheticBatches, validation_samples
from utils.training import TrainingSlices

SYNTHETIC_EPOCH = 2048  # images


class Prepared:
    """Scans that prepare_spinegeneric.py made ready.

    Attributes
    ----------
    levels : list of int
        Level of each channel.
    resolution, sigma : float
        Size of a pixel and standard deviation of a heatmap's Gaussian, in mm.
    items : object
        Its ``epoch`` is to be set before each epoch.
    loader : iterable
        Gives the batches of an epoch.
    length : int
        Images in an epoch.
    val_samples : list of Sample
    spines : list of (points (N, 2) in mm, levels (N,))
        For the prior of the search.
    """

    def __init__(self, args, batch_size, device):
        summary = load_summary(args.data)
        samples, self.val_samples = load_split(args.data, "train"), load_split(args.data, "val")
        self.levels, self.resolution, self.sigma = summary["levels"], summary["resolution"], summary["sigma"]
        self.length = max(len(samples), RECIPES[args.recipe]["least_slices"])
        self.items = TrainingSlices(samples, self.levels, self.sigma, augment=True, seed=args.seed, length=self.length)
        self.loader = DataLoader(self.items, batch_size, num_workers=args.workers, pin_memory=device.type == "cuda")
        self.spines = [(sample.points * sample.spacing, sample.levels) for sample in samples]


class Synthetic:
    """People drawn for this training; attributes as in `Prepared`."""

    def __init__(self, args, batch_size, device):
        self.levels, self.resolution, self.sigma = list(LEVELS), RESOLUTION_MM, SIGMA_MM
        bank = draw_bank(args.synthetic, args.seed, device, jobs=os.cpu_count())
        self.length = SYNTHETIC_EPOCH // batch_size * batch_size
        self.items = self.loader = SyntheticBatches(bank, batch_size, self.length, args.seed)
        self.val_samples = validation_samples()
        self.spines = [(points[list(LEVELS)], LEVELS) for points in bank.points.cpu().numpy()]
