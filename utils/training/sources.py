"""Where a training takes its images from: prepared scans, synthetic images generated on the fly, or both together."""

import contextlib

import torch
from torch.utils.data import ConcatDataset, DataLoader

from utils.discs import SACRAL
from utils.synthesis.batches import CHANNELS, RESOLUTION_MM, SIGMA_MM, SyntheticBatches, validation_samples
from utils.synthesis.images import generate_bank
from utils.system import ranks
from utils.system.cores import cores
from utils.system.files import UserError
from utils.system.signals import blocked
from utils.training.data import SYNTHETIC, Data, check_unseen
from utils.training.recipes import RECIPES
from utils.training.slices import Order, TrainingSlices

SYNTHETIC_EPOCH = 2048  # images
MASKED_SHARE = 0.2  # of the scans' images, masked to the spine as `utils.inference.second_pass` does
# Of torch's messages: a worker was killed, or has no shared memory for its batch.
LOST_WORKER = ("DataLoader worker (pid", "shared memory", "file </torch_")


class Prepared:
    """Scans that prepare_spinegeneric.py made ready, of one data set or several.

    Parameters
    ----------
    args : argparse.Namespace
        Of train.py.
    batch_size : int
        Over all processes.
    device : torch.device
    earlier : dict, optional
        The checkpoint to start from; where it has a channel for S1-S2, so has the training.
    channels : list of int, optional
        Level of each channel, where synthetic images set it.
    steps : int, optional
        Batches in an epoch; by default as many as hold one image per scan, and the recipe's least number of slices.
    masked : float
        Share of the images that are masked to the spine.

    Attributes
    ----------
    levels : list of int
        Level of each channel.
    resolution, sigma : float
        Size of a pixel and standard deviation of a heatmap's Gaussian, in mm.
    batch_size, steps : int
        Images in a batch, over all processes, and batches in an epoch.
    val_sets : dict of str to sequence of Sample
        The validation split of each data set, by its name.
    digest : str or None
        Of the prepared data, to recognise them.
    spines : list of (points (N, 2) in mm, levels (N,))
        For the prior of the search.
    passes : int or None
        Passes over a scan that the network learns to make; None where it is as the weights to start from have it.
    """

    passes = None

    def __init__(self, args, batch_size, device, earlier=None, channels=None, steps=None, masked=0.0):
        data = Data(args.data)
        self.levels, self.resolution, self.sigma = data.settings
        train, self.val_sets, self.digest = list(data.train.values()), data.val, data.digest()
        if len(args.data) > 1:
            check_unseen(data)
        samples = ConcatDataset(train)
        if channels is None and earlier and list(earlier["levels"]) == [*self.levels, SACRAL]:
            channels = earlier["levels"]
        if channels == [*self.levels, SACRAL]:
            self.levels = list(channels)  # scans have no labels of S1-S2: only where it cannot lie is learned
        wanted = max(len(samples), RECIPES[args.recipe]["least_slices"])
        self.batch_size, self.steps = batch_size, steps or -(-wanted // batch_size)
        order = Order([len(own) for own in train], self.steps * batch_size, args.seed)  # all batches are full
        self.items = TrainingSlices(
            samples, self.levels, self.sigma, augment=True, seed=args.seed, order=order, masked=masked
        )
        self.order = BatchesFrom(self.steps, batch_size)
        self.loader = DataLoader(
            self.items, batch_sampler=self.order, num_workers=args.workers, pin_memory=device.type == "cuda"
        )
        self.spines = [(s.points * s.spacing, s.levels) for own in train for s in own.without_pixels()]

    def batches(self, epoch, start):
        """Return the batches of an epoch from number ``start`` on: images, targets, weights, numbers of items."""
        self.items.epoch, self.order.start = epoch, start
        with blocked():  # the workers serve the training until it has saved
            return iter(self.loader)

    def names(self, epoch, step):
        """Return the names of the scans in a batch, over all processes."""
        self.items.epoch = epoch
        first = step * self.batch_size
        return [self.items.sample_of(index).name for index in range(first, first + self.batch_size)]


@contextlib.contextmanager
def lost_workers_explained():
    """Turn the end of a process of ``--workers``, or an error in it, into a sentence that says what to do.

    Raises
    ------
    UserError
        In place of what torch raises, anywhere within.
    """
    try:
        yield
    except UserError as error:  # of a worker: torch puts it behind the whole traceback
        raise UserError(str(error).strip().rpartition("UserError: ")[2]) from None
    except RuntimeError as error:
        if not any(sign in str(error) for sign in LOST_WORKER):
            raise
        raise UserError(
            "a process that prepares batches was ended, most often for want of memory or of room in /dev/shm: run it "
            "again with --resume and fewer --workers, or --workers 0"
        ) from None


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
    """Synthetic images, generated for this training; attributes as in `Prepared`.

    Each process generates its share of the subjects, and makes its share of every batch of them.
    """

    passes = 2

    def __init__(self, args, batch_size, device, steps=None):
        self.levels, self.resolution, self.sigma, self.digest = CHANNELS, RESOLUTION_MM, SIGMA_MM, None
        count, own = ranks.count(), slice(ranks.rank(), None, ranks.count())
        if args.synthetic < count:
            raise UserError(f"--synthetic {args.synthetic}: give one subject or more for each of {count} processes")
        bank = generate_bank(args.synthetic, args.seed, device, max(1, cores() // count), own)
        self.batch_size, self.steps = batch_size, steps or SYNTHETIC_EPOCH // batch_size
        self.made = SyntheticBatches(bank, batch_size // count, args.seed + ranks.rank())
        self.val_sets = {SYNTHETIC: validation_samples()}
        every = ranks.undeal(ranks.gather(list(bank.points.cpu().numpy())))
        self.spines = [(points[CHANNELS], CHANNELS) for points in every]

    def batches(self, epoch, start):
        """As of `Prepared`; every process generates images of its own."""
        return (self.made.batch(epoch, step) for step in range(start, self.steps))

    def names(self, epoch, step):
        """Return what identifies a batch."""
        return [f"synthetic batch {step} of epoch {epoch}"]


class Joint:
    """Scans and synthetic images in every batch; attributes as in `Prepared`.

    From scans the network learns the appearance of real images; from synthetic ones it keeps all levels, contrasts and
    views, since a network that is trained on the scans of one region alone forgets the others.

    Parameters
    ----------
    share : float
        Of each batch that is synthetic, in 0..1; at least one image of either kind for each process.
    """

    passes = 2

    def __init__(self, args, batch_size, device, share):
        own = batch_size // ranks.count()
        if own < 2:
            raise UserError(f"--batch-size {batch_size}: scans and synthetic images need 2 or more for each process")
        synthetic = min(max(round(share * own), 1), own - 1) * ranks.count()
        self.batch_size, self.steps = batch_size, SYNTHETIC_EPOCH // batch_size
        self.scans = Prepared(args, batch_size - synthetic, device, None, CHANNELS, self.steps, MASKED_SHARE)
        for key, wanted in (("levels", CHANNELS), ("resolution", RESOLUTION_MM), ("sigma", SIGMA_MM)):
            if getattr(self.scans, key) != wanted:
                raise UserError(
                    f"{args.data[0]} was not prepared with the {key} of synthetic images: prepare it without --{key}"
                )
        self.made = Synthetic(args, synthetic, device, self.steps)
        self.levels, self.resolution, self.sigma = self.made.levels, self.made.resolution, self.made.sigma
        self.digest = self.scans.digest
        self.val_sets = {**self.scans.val_sets, **self.made.val_sets}
        self.spines = self.scans.spines + self.made.spines

    def batches(self, epoch, start):
        """As of `Prepared`: scans first, then synthetic images."""
        pairs = zip(self.scans.batches(epoch, start), self.made.batches(epoch, start), strict=True)
        for (images, target, weight, numbers), (others, other_target, known, other_numbers) in pairs:
            parts = ((images, others), (target, other_target), (weight, known.expand_as(other_target)))
            yield *(torch.cat([a.to(b.device), b]) for a, b in parts), torch.cat([numbers, other_numbers])

    def names(self, epoch, step):
        """Return the names of the scans in a batch, and what identifies its synthetic images."""
        return self.scans.names(epoch, step) + self.made.names(epoch, step)


def source_of(args, settings, device, earlier):
    """Return the source of images that the flags ask for; ``settings`` are these, with the recipe's own values."""
    batch_size = settings["batch_size"]
    if args.data and args.synthetic:
        return Joint(args, batch_size, device, settings["synthetic_share"])
    if args.synthetic:
        return Synthetic(args, batch_size, device)
    return Prepared(args, batch_size, device, earlier)
