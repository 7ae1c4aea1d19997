"""Measure the speed of every stage beside a plain way of doing the same, and print one table of ratios.

The plain way is that of the published recipe: float32, batches of 3, the loss at the slice's own
resolution, every combination of candidates searched. Nothing here decides anything by a time.
"""

import argparse
import itertools
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import torch
import torch.nn.functional as F

from models import build_model
from prepare_spinegeneric import Settings, prepare_scan
from utils.bids import ScanFile
from utils.device import autocast, choose_device, has_fast_bfloat16
from utils.discs import LEVELS
from utils.files import run, save_json
from utils.heatmaps import render
from utils.labeller import Labeller, forward
from utils.loss import focal_loss
from utils.phantom import draw_anatomy
from utils.recipes import RECIPES, build_optimizer
from utils.skeleton import learn_prior, search
from utils.synthesis import choose_field_of_view, draw_volume

SHAPE = {"stacks": 2, "blocks": 1, "features": 256}
RELEASED_IMAGES_PER_S = 2.26  # of the released code's training, measured on 2 CPU cores with AMX
SIZE = 256


def build_parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each, after one that is not timed")
    parser.add_argument("--features", type=int, default=SHAPE["features"], help="channels inside the network")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the CPU")
    parser.add_argument("--out", type=Path, default=Path("output/benchmark.json"), help="the table as JSON")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU where there is one)")
    return parser


def seconds(work, repeats, device=None):
    """Return the median time of a call in seconds, after one that is not timed."""
    times = []
    for _ in range(repeats + 1):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def _wait(device):
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def training(device, features, repeats):
    """Return seconds an image of a training step: ours, and the plain way."""
    shape = {**SHAPE, "features": features}
    network = build_model("hourglass_attention", len(LEVELS), in_channels=1, **shape)
    network.to(device, memory_format=torch.channels_last).train()
    batch = RECIPES["default"]["batch_size"]
    optimizer = build_optimizer(RECIPES["default"], network, 1e-4)
    images = torch.rand(batch, 1, SIZE, SIZE, device=device)
    target = torch.rand(batch, len(LEVELS), SIZE // 4, SIZE // 4, device=device) ** 8
    weight = torch.ones(batch, len(LEVELS), device=device)

    def ours():
        with autocast(device, True):
            outputs = forward(network, images)
        loss = focal_loss(outputs, target, weight)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    mine = seconds(ours, repeats, device) / batch
    return mine, seconds(published_step(device, shape), repeats, device) / 3


def published_step(device, shape):
    """Return a training step as the published recipe does it; kept as it is, to compare with."""
    network = build_model("hourglass_attention", len(LEVELS), in_channels=3, **shape).to(device).train()
    optimizer = torch.optim.RMSprop(network.parameters(), lr=2.5e-4)
    images = torch.rand(3, 3, SIZE, SIZE, device=device)
    target = torch.rand(3, len(LEVELS), SIZE, SIZE, device=device) ** 8

    def step():
        outputs = [F.interpolate(o, scale_factor=4, mode="bilinear", align_corners=False) for o in network(images)]
        loss = sum(((output - target) ** 2).mean() for output in outputs)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def single_forward(device, features, repeats):
    """Return seconds of one slice through the network: ours, and the plain way."""
    network = build_model("hourglass_attention", len(LEVELS), in_channels=1, **{**SHAPE, "features": features})
    plain = build_model("hourglass_attention", len(LEVELS), in_channels=3, **{**SHAPE, "features": features})
    network.to(device, memory_format=torch.channels_last).eval()
    plain.to(device).eval()
    image = torch.rand(1, 1, SIZE, SIZE, device=device)

    @torch.inference_mode()
    def ours():
        with autocast(device, True):
            forward(network, image)

    @torch.inference_mode()
    def theirs():
        plain(image.expand(-1, 3, -1, -1).contiguous())

    return seconds(ours, repeats, device), seconds(theirs, repeats, device)


def skeleton(repeats, most=8):
    """Return seconds of the search with ``most`` candidates for 25 levels, and of all combinations of 2 for 11."""
    rng, prior = np.random.default_rng(0), learn_prior([])

    def field(count, levels):
        return [(rng.uniform(0, 500, (count, 2)), rng.uniform(0.05, 1, count)) for _ in levels]

    whole, few = field(most, range(1, 26)), field(2, range(2, 13))
    mean = np.cumsum(prior.mean[2:13], 0)

    def combinations():
        best = np.inf
        for picks in itertools.product(range(2), repeat=len(few)):
            chain = np.array([points[pick] for (points, _), pick in zip(few, picks, strict=True)])
            best = min(best, np.abs(chain - chain[0] - mean).sum())
        return best

    mine = seconds(lambda: search(whole, range(1, 26), prior, (500, 300)), 4 * repeats)
    return mine, seconds(combinations, repeats)


def scan_files(folder, voxel=0.8):
    """Write one synthetic scan with its labels; returns a ScanFile."""
    rng = np.random.default_rng(0)
    anatomy = draw_anatomy(rng)
    volume = draw_volume(rng, anatomy, "T2w", choose_field_of_view(rng, anatomy), [voxel] * 3)
    labels = np.zeros(volume.data.shape, np.uint8)
    labels[tuple(volume.voxels.T)] = volume.levels
    image, label = folder / "sub-1_T2w.nii.gz", folder / "sub-1_T2w_label-discs_dlabel.nii.gz"
    nibabel.save(nibabel.Nifti1Image(volume.data.astype(np.int16), volume.affine), image)
    nibabel.save(nibabel.Nifti1Image(labels, volume.affine), label)
    return ScanFile("sub-1_T2w", "sub-1", "T2w", image, label)


def preparation(folder, repeats):
    """Return seconds to prepare a scan, and those that nibabel alone needs to read its two files."""
    scan = scan_files(folder)
    settings = Settings(folder / "prepared", LEVELS, 1.0, 4.0)

    def read():
        for path in (scan.image, scan.label):
            np.asarray(nibabel.load(path).dataobj)

    return seconds(lambda: prepare_scan(scan, "", settings), repeats), seconds(read, repeats)


def heatmaps(repeats):
    """Return seconds to draw 25 heatmaps of 64 x 64 cells, and to do it over all cells at once for each disc."""
    rng = np.random.default_rng(0)
    points, channels = rng.uniform(0, SIZE, (25, 2)), np.arange(25)

    def plain():
        rows, columns = np.mgrid[:64, :64]
        maps = np.zeros((25, 64, 64))
        for channel, (row, column) in enumerate((points + 0.5) / 4 - 0.5):
            maps[channel] = np.exp(-0.5 * ((rows - row) ** 2 + (columns - column) ** 2))
        return maps

    mine = seconds(lambda: render(points, channels, 25, (SIZE, SIZE), 4.0, 1.0), 10 * repeats)
    return mine, seconds(plain, 10 * repeats)


def labelling(device, features, repeats):
    """Return seconds to label a scan of 9 slabs in one batch, and slab after slab."""
    shape = {**SHAPE, "features": features}
    checkpoint = {"levels": list(LEVELS), "resolution": 1.0, "prior": None, "output": "logits", "args": {}}
    network = build_model("hourglass_attention", len(LEVELS), in_channels=1, **shape)
    labeller = Labeller(checkpoint, "none", device, network.to(device, memory_format=torch.channels_last).eval())
    slabs, offsets = np.random.default_rng(0).random((9, 320, 256), np.float32), 6.0 * np.arange(-4, 5)
    one_by_one = seconds(lambda: [labeller.label(slab[None]) for slab in slabs], repeats, device)
    return seconds(lambda: labeller.label(slabs, offsets), repeats, device), one_by_one


def main(argv=None):
    """Measure, as the flags say."""
    args = build_parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    device = choose_device(args.device)
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    rows = []

    def add(stage, plain_way, times, target):
        mine, plain = times
        rows.append({"stage": stage, "seconds": mine, "plain_way": plain_way, "plain_seconds": plain,
                     "ratio": plain / mine, "target": target})  # fmt: skip
        print(
            f"| {stage} | {1e3 * mine:.2f} | {plain_way} | {1e3 * plain:.2f} | {plain / mine:.2f} | {target} |",
            flush=True,
        )

    print(f"{hardware}, {args.threads} threads, torch {torch.__version__}, bfloat16 "
          f"{'by hardware' if has_fast_bfloat16(device) else 'not used'}, median of {args.repeats}")  # fmt: skip
    print("| stage | ms | plain way | ms | ratio | target |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        add("prepare a scan", "read it with nibabel", preparation(Path(folder), args.repeats), "0.67 or more")
    add("draw 25 heatmaps", "over all cells, disc by disc", heatmaps(args.repeats), "under 1 ms")
    times = training(device, args.features, args.repeats)
    add("train, an image", "float32, batch 3, loss at full size", times, "3 or more (CPU), 10 (GPU)")
    plain_rate = 1 / times[1]
    add("forward, one slice", "float32", single_forward(device, args.features, args.repeats), "2 or more")
    for most in (1, 2, 4, 8, 16):
        times = skeleton(args.repeats, most)
        add(f"search, 25 levels x {most}", "all combinations, 11 x 2", times, "5 ms" if most == 8 else "")
    add("label a scan of 9 slabs", "slab after slab", labelling(device, args.features, args.repeats), "")
    if device.type == "cpu" and plain_rate < RELEASED_IMAGES_PER_S:
        print(f"the plain training makes {plain_rate:.2f} images/s, less than the released code's "
              f"{RELEASED_IMAGES_PER_S} on 2 cores with AMX")  # fmt: skip
    save_json(args.out, {"hardware": hardware, "threads": args.threads, "torch": torch.__version__, "rows": rows})


if __name__ == "__main__":
    run(main)
