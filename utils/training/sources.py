"""What a training takes its images from: prepared scans, or people drawn on the way."""

import os

from torch.utils.data import DataLoader

from utils.discs import SACRAL
from utils.scans.sample import digest_of, load_split, load_summary
from utils.synthesis.batches import CHANNELS, RESOLUTION_MM, SIGMA_MM, SyntheticBatches, validation_samples
from utils.synthesis.images import generate_bank
from utils.system import ranks
from utils.training.recipes import RECIPES
from utils.training.slices import TrainingSlices

SYNTHETIC_EPOCH = 2048  # images


class Prepared:
    """Scans that prepare_spinegeneric.py made ready.

    Attributes
    ----------
    levels : list of int
        Level of each channel.
    resolution, sigma : float
        Size of a pixel and standard deviation of a heatmap's Gaussian, in mm.
    batch_size, steps : int
        Images in a batch, over all processes, and batches in an epoch.
    val_samples : list of Sample
    digest : str or None
        Of the prepared data, to tell them from others.
    spines : list of (points (N, 2) in mm, levels (N,))
        For the prior of the search.
    """

    def __init__(self, args, batch_size, device, earlier=None):
        summary = load_summary(args.data)
        samples, self.val_samples = load_split(args.data, "train"), load_split(args.data, "val")
        self.levels, self.resolution, self.sigma = summary["levels"], summary["resolution"], summary["sigma"]
        self.digest = digest_of([*samples, *self.val_samples], len(samples), self.levels, self.resolution, self.sigma)
        if earlier and list(earlier["levels"]) == [*self.levels, SACRAL]:
            self.levels = [*self.levels, SACRAL]  # what nobody labels: only where it cannot lie is learned
        wanted = max(len(samples), RECIPES[args.recipe]["least_slices"])
        self.batch_size, self.steps = batch_size, -(-wanted // batch_size)
        length = self.steps * batch_size  # all batches are full
        self.items = TrainingSlices(samples, self.levels, self.sigma, augment=True, seed=args.seed, length=length)
        self.order = BatchesFrom(self.steps, batch_size)
        self.loader = DataLoader(
            self.items, batch_sampler=self.order, num_workers=args.workers, pin_memory=device.type == "cuda"
        )
        self.spines = [(sample.points * sample.spacing, sample.levels) for sample in samples]

    def batches(self, epoch, start):
        """Return the batches of an epoch from number ``start`` on: images, targets, weights, numbers of items."""
        self.items.epoch, self.order.start = epoch, start
        return iter(self.loader)

    def names(self, epoch, step):
        """Return the names of the scans in a batch."""
        self.items.epoch = epoch
        first = step * self.batch_size
        return [self.items.sample_of(index).name for index in range(first, first + self.batch_size)]


class BatchesFrom:
    """The numbers of this process's items in each batch, from a batch on."""

    def __init__(self, steps, batch_size):
        self.steps, self.batch_size, self.start = steps, batch_size, 0

    def __len__(self):
        """Return the number of batches."""
        return self.steps - self.start

    def __iter__(self):
        """Yield lists of numbers."""
        for step in range(self.start, self.steps):
            yield ranks.deal(range(step * self.batch_size, (step + 1) * self.batch_size))


class Synthetic:
    """People drawn for this training; attributes as in `Prepared`."""

    def __init__(self, args, batch_size, device):
        self.levels, self.resolution, self.sigma, self.digest = CHANNELS, RESOLUTION_MM, SIGMA_MM, None
        bank = generate_bank(args.synthetic, args.seed, device, jobs=os.cpu_count())
        self.batch_size, self.steps = batch_size, SYNTHETIC_EPOCH // batch_size
        self.made = SyntheticBatches(bank, batch_size // ranks.count(), args.seed + ranks.rank())
        self.val_samples = validation_samples()
        self.spines = [(points[CHANNELS], CHANNELS) for points in bank.points.cpu().numpy()]

    def batches(self, epoch, start):
        """As of `Prepared`; every process makes images of its own."""
        return (self.made.batch(epoch, step) for step in range(start, self.steps))

    def names(self, epoch, step):
        """Return what tells a batch from others."""
        return [f"synthetic batch {step} of epoch {epoch}"]
