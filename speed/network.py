"""The speed of the network: its training, with what feeds it, and one slice forward."""

import torch
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from models import build_model
from speed import published
from speed.timing import Row, medians
from utils.inference.labeller import forward
from utils.synthesis.batches import CHANNELS, SIGMA_MM, SyntheticBatches
from utils.synthesis.images import SIZE, generate_bank
from utils.system.device import autocast, has_fast_bfloat16
from utils.training.average import averaged
from utils.training.engine import train_epoch
from utils.training.loss import focal_loss
from utils.training.optimizers import build_optimizer
from utils.training.recipes import RECIPES
from utils.training.slices import Order, TrainingSlices

SUBJECTS = 16  # synthetic ones, to generate images from
STEPS = 4  # of the training, in one measurement


def flops(shape, in_channels, levels, training=True):
    """Count the floating-point operations of one slice through the network, with the backward pass in training."""
    network = build_model("hourglass_attention", levels, in_channels=in_channels, **shape).to("meta")
    with FlopCounterMode(display=False) as counter:  # of shapes alone: nothing is computed
        outputs = network(torch.empty(1, in_channels, SIZE, SIZE, device="meta"))
        if training:
            sum(output.sum() for output in outputs).backward()
    return counter.get_total_flops()


def matrix_product(device):
    """Return a product of matrices in the number format that trainings use, and its operations."""
    side = 8192 if device.type == "cuda" else 2048
    kind = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    left, right = (torch.rand(side, side, device=device).to(kind) for _ in range(2))
    return lambda: left @ right, 2 * side**3


def trainer(device, shape):
    """Return a function that trains a network of its own on batches, as train.py does."""
    network = build_model("hourglass_attention", len(CHANNELS), in_channels=1, **shape)
    network.to(device, memory_format=torch.channels_last)
    optimizer = build_optimizer(RECIPES["default"], network, 1e-4)
    averaged(network, optimizer)  # follows each step
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer)
    bar = tqdm(disable=True)
    bar.validation = ""

    def train(batches):
        losses = []
        train_epoch(network, batches, losses, focal_loss, optimizer, scheduler, device, True, bar, False)
        return losses

    return train


def sources(device, batch_size, samples):
    """Return functions that give the batches of one measurement, by name of their source."""
    synthetic = SyntheticBatches(generate_bank(SUBJECTS, 0, device), batch_size)
    one = synthetic.batch(0, 0)
    slices = TrainingSlices(
        samples, CHANNELS, SIGMA_MM, augment=True, order=Order([len(samples)], STEPS * batch_size, 0)
    )
    loader = DataLoader(slices, batch_size, pin_memory=device.type == "cuda")
    return {
        "one batch on the device": lambda: [one] * STEPS,
        "synthetic images": lambda: (synthetic.batch(1, step) for step in range(STEPS)),
        "prepared slices": lambda: loader,
    }


def training_rows(device, shape, batch_size, samples, repeats):
    """Measure the training of a network; times are those of one image.

    Parameters
    ----------
    device : torch.device
    shape : dict
        Arguments of `models.build_model`.
    batch_size : int
    samples : list of utils.scans.sample.Sample
        Prepared ones to train on.
    repeats : int

    Yields
    ------
    Row
    """
    images = STEPS * batch_size
    train = trainer(device, shape)
    plain = published.training_step(device, len(CHANNELS), shape)
    product, of_product = matrix_product(device)
    batches = sources(device, batch_size, samples)
    works = [lambda source=source: train(source()) for source in batches.values()]
    *ours, generating, theirs, multiplied = medians(
        [*works, lambda: list(batches["synthetic images"]()), plain, product], repeats, device
    )
    one, synthetic, prepared = (time / images for time in ours)
    yield Row("train, one image", one, "float32, batch of 3, loss at full size", theirs / published.BATCH,
              "3 or more (GPU: 10)")  # fmt: skip
    at_best = flops(shape, 1, len(CHANNELS)) / of_product * multiplied
    yield Row("train, one image", one, "its operations at the rate of a matrix product", at_best, "0.30 (GPU)")
    yield Row("generate one synthetic image", generating / images, target="10 ms or less (GPU: 0.33)")
    yield Row("train on synthetic images", synthetic, "on one batch on the device", one, "0.90 or more (GPU)")
    yield Row("train on prepared slices", prepared, "on one batch on the device", one, "0.90 or more (GPU)")


def forward_row(device, shape, repeats):
    """Measure one slice through the network."""
    network = build_model("hourglass_attention", len(CHANNELS), in_channels=1, **shape)
    network.to(device, memory_format=torch.channels_last).eval()
    image = torch.rand(1, 1, SIZE, SIZE, device=device)

    @torch.inference_mode()
    def ours():
        with autocast(device, True):
            forward(network, image)

    mine, plain = medians([ours, published.forward(device, len(CHANNELS), shape)], repeats, device)
    return Row("forward, one slice", mine, "float32, three channels", plain, "2 or more")
