"""Train a network to find and label intervertebral discs, on prepared scans, synthetic images, or both.

The network is the stacked hourglass with multi-level attention of Azad, Rouhier and Cohen-Adad (2021),
or one to compare with. ``--recipe published`` trains as that paper's code does; ``default`` identified more
discs where both were compared (docs/results.md).
"""

from pathlib import Path

from models import MODELS, build_model
from utils.inference.shipped import SHIPPED
from utils.system.flags import multiple_of_4, natural_number, new_parser, output_folder, seed_number, whole_number
from utils.training.recipes import RECIPES


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python train.py --data dataset/NAME --out output/RUN")
    place = parser.add_argument_group("data")
    place.add_argument(
        "--data", type=Path, nargs="+", default=[], metavar="FOLDER",
        help="one or more folders written by prepare_spinegeneric.py",
    )  # fmt: skip
    place.add_argument(
        "--synthetic", type=natural_number, nargs="?", const=1000, metavar="SUBJECTS",
        help="synthetic images, generated on the fly from so many synthetic subjects (4.8 MB of memory each; bare: "
        "1000): alone, or with the scans of --data in every batch",
    )  # fmt: skip
    place.add_argument(
        "--synthetic-share", type=float, metavar="SHARE",
        help="part of each batch that is synthetic, where --data gives scans too (default: 0.5)",
    )  # fmt: skip
    place.add_argument("--out", type=output_folder, required=True, help="folder of this run, such as output/RUN")
    place.add_argument(
        "--workers", type=whole_number, default=0, help="extra processes that load scans (0: the training loads them)"
    )
    network = parser.add_argument_group("network", "with --init or --resume it is that of the weights")
    network.add_argument("--model", choices=MODELS, help="architecture (default: hourglass_attention)")
    network.add_argument("--stacks", type=natural_number, help="hourglasses in a row (default: 2)")
    network.add_argument(
        "--blocks", type=natural_number, help="residual blocks at each resolution of an hourglass (default: 1)"
    )
    network.add_argument("--features", type=multiple_of_4, help="channels inside (default: 64, published 256)")
    training = parser.add_argument_group("training")
    training.add_argument("--recipe", choices=sorted(RECIPES), default="default", help="how to train")
    training.add_argument(
        "--epochs", type=natural_number, default=100, help="of 160 slices or more; with --synthetic of 2,048 images"
    )
    training.add_argument(
        "--batch-size", type=natural_number, help="slices per step, over all processes (default: 8, published 3)"
    )
    training.add_argument("--lr", type=float, help="learning rate (default: 1e-3, published 2.5e-4)")
    training.add_argument("--seed", type=seed_number, default=0, help="random seed of weights, order and augmentation")
    training.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU where there is one)")
    training.add_argument("--no-amp", dest="amp", action="store_false", help="float32, even where bfloat16 is fast")
    start = parser.add_argument_group("start").add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on with the run in --out")
    start.add_argument(
        "--init", type=Path, nargs="?", const=SHIPPED, metavar="WEIGHTS",
        help="start from the weights of this run or checkpoint (bare: the shipped ones)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import contextlib
import itertools
import math
import signal
import sys
import time

import numpy as np
import torch
from torch.utils.data import ConcatDataset, DataLoader
from tqdm import tqdm

from utils.inference.checkpoint import FORMAT, build_network, load_checkpoint, save_checkpoint
from utils.inference.labeller import Labeller
from utils.inference.prior import learn_prior, prior_of
from utils.report.charts import curves
from utils.report.figures import convergence
from utils.synthesis.batches import VALIDATION_SEED
from utils.system import ranks
from utils.system.device import keep_memory
from utils.system.files import UserError, run, save_json, sweep
from utils.system.lock import locked
from utils.system.numbers import number
from utils.system.signals import Stop
from utils.system.version import code_version
from utils.training.average import averaged
from utils.training.engine import (
    NotFinite,
    better,
    calibrate,
    mean_score,
    train_epoch,
    validate,
    validation_loss,
)
from utils.training.loss import focal_loss, mse_loss
from utils.training.network import choose_network, output_of
from utils.training.optimizers import build_optimizer, build_scheduler
from utils.training.runs import Training, check_resumable, go_on, holds_run, load_last, save_best, save_last
from utils.training.slices import TrainingSlices
from utils.training.sources import SYNTHETIC_EPOCH, lost_workers_explained, source_of

SYNTHETIC_SHARE = 0.5  # where --synthetic-share does not say
LOSSES = {"focal": focal_loss, "mse": mse_loss}
FOCAL_BIAS = -4.0  # heatmaps start nearly empty, as CornerNet's do
SHOWN = 4  # validation slices in the animation


def settle(args):
    """Return the flags as a dict, with the recipe's own values where a flag was not given."""
    settings = vars(args).copy()
    for key, value in RECIPES[args.recipe].items():
        if settings.get(key) is None:
            settings[key] = value
    if not (args.data or args.synthetic):
        raise UserError("nothing to train on: give --data FOLDER, --synthetic, or both")
    if args.data and args.synthetic:
        settings["synthetic_share"] = SYNTHETIC_SHARE if args.synthetic_share is None else args.synthetic_share
        if not 0 < settings["synthetic_share"] < 1:
            raise UserError(f"--synthetic-share {args.synthetic_share}: give more than 0 and less than 1")
    elif args.synthetic_share is not None:
        raise UserError(
            "--synthetic-share is that of batches of both kinds: give --data and --synthetic, or leave it out"
        )
    if args.workers and not args.data:
        raise UserError("--workers read the scans of --data, and synthetic images need none: leave --workers out")
    if args.synthetic and settings["batch_size"] > SYNTHETIC_EPOCH:
        raise UserError(f"--batch-size {settings['batch_size']}: give {SYNTHETIC_EPOCH} or less, which is an epoch")
    if args.synthetic and args.seed == VALIDATION_SEED:
        raise UserError(f"--seed {args.seed}: the synthetic subjects of the validation are of this seed: give another")
    if not 0 < settings["lr"] < math.inf:
        raise UserError(f"--lr {settings['lr']}: give a finite number above 0")
    settings["data"] = [str(folder) for folder in args.data]
    return {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}


def main(argv=None):
    """Train, as the flags say; returns the exit status."""
    args = build_parser().parse_args(argv)
    settings = settle(args)
    device = ranks.join(args.device)
    with locked(args.out, "a training") if ranks.rank() == 0 else contextlib.nullcontext():
        return train(args, settings, device)


def train(args, settings, device):
    """Train into a folder that no other process uses; returns the exit status."""
    first = ranks.rank() == 0
    if first and holds_run(args.out) and not args.resume:
        raise UserError(f"{args.out} holds a run: add --resume to go on with it, or give another --out")
    keep_memory()
    sweep(args.out)
    if settings["batch_size"] % ranks.count():
        raise UserError(f"--batch-size {settings['batch_size']} does not divide among {ranks.count()} processes")
    torch.manual_seed(args.seed)  # of the weights; samples have generators of their own
    recipe = RECIPES[args.recipe]

    earlier = load_last(args.out) if args.resume else load_checkpoint(args.init) if args.init else None
    source = source_of(args, settings, device, earlier)
    levels, val_samples = source.levels, ConcatDataset(source.val_sets.values())
    val_loader = DataLoader(TrainingSlices(val_samples, levels, source.sigma), settings["batch_size"])

    if args.resume:
        check_resumable(args.out, earlier, settings, source.digest)
    model = choose_network(args, source, earlier)
    network = build_network(earlier) if args.init else build_model(**model)
    loss_of = LOSSES[recipe["loss"]]
    if recipe["loss"] == "focal" and not args.init:
        network.init_bias(FOCAL_BIAS)
    network.to(device, memory_format=torch.channels_last)
    optimizer = build_optimizer(recipe, network, settings["lr"])
    average = averaged(network, optimizer) if recipe["average"] else None
    used = average.module if average else network
    scheduler = build_scheduler(recipe, optimizer, settings["lr"], args.epochs, source.steps)

    state = {
        "format": FORMAT, "model": model, "levels": levels, "resolution": source.resolution,
        "output": output_of(args.recipe),
        "prior": earlier["prior"] if args.resume else learn_prior(source.spines, prior_of(earlier)).to_dict(),
        # Only a network that learned from images masked to the spine makes a second pass.
        "passes": source.passes or (earlier.get("passes", earlier.get("looks", 1)) if earlier else 1),
        "samples": source.digest, "calibration": None, "epoch": 0, "losses": [], "seconds": 0.0, "best": None,
        "log": [], "frames": [],
        "data": settings["data"], "args": settings, "version": code_version(), "processes": ranks.count(),
    }  # fmt: skip
    training = Training(state, network, average, optimizer, scheduler)
    if args.resume:
        go_on(args.out, earlier, training)
    labeller = Labeller({**state, "passes": 1}, args.out, device, used)  # one pass is enough to compare epochs
    if first:
        known = {key: value for key, value in model.items() if key in settings}
        facts = {**state["args"], **known, "model": model["name"], "network": model, "device": str(device)}
        save_json(args.out / "args.json", {**facts, **{key: state[key] for key in ("processes", "version")}})
        if not args.resume:  # a run that is killed in its first epoch is one to go on with, too
            save_last(args.out, training)
        size = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        length = source.steps * source.batch_size
        print(
            f"{model['name']}: {size:.2f} M parameters; slices: {length} per epoch, {len(val_samples)} for validation"
        )

    parallel = ranks.share(network, device)
    done = (state["epoch"] * source.steps + len(state["losses"])) * source.batch_size
    total = args.epochs * source.steps * source.batch_size
    hidden = None if first else True  # None: where there is no terminal
    with Stop() as stop, tqdm(total=total, initial=done, unit="image", smoothing=0.05, disable=hidden) as bar:
        bar.validation, began_at, done_before = "", time.monotonic(), state["epoch"]

        while state["epoch"] < args.epochs:
            epoch, began = state["epoch"] + 1, time.perf_counter()
            bar.set_description(f"epoch {epoch}/{args.epochs}")
            batches = source.batches(epoch, len(state["losses"]))
            try:
                with lost_workers_explained():
                    finished = train_epoch(
                        parallel, batches, state["losses"], loss_of, optimizer, scheduler, device, args.amp, bar, stop
                    )
            except NotFinite:
                give_up(args.out, source, epoch, training)
            state["seconds"] += time.perf_counter() - began
            if not finished:
                if first:
                    save_last(args.out, training)
                    print(f"stopped in epoch {epoch}; --resume continues from there", file=sys.stderr)
                return 128 + (stop.signal or signal.SIGTERM)
            end_epoch(args, source, val_loader, loss_of, labeller, training)
            entry = state["log"][-1]
            share, distance = entry["identified"], entry["dtt_mean"]
            bar.validation = f", validation {number(100 * share, 0)} % identified, error {number(distance, 1)} mm"
            if first and bar.disable:  # no terminal: one line per epoch instead
                pace = (time.monotonic() - began_at) / (epoch - done_before)
                print(epoch_line(entry, args.epochs, pace), file=sys.stderr, flush=True)
    if first:
        finish(args.out, state, val_samples, device)
        draw(args.out, state, list(itertools.islice(val_samples, SHOWN)))
        share, distance = state["best"]
        print(f"best on validation: {number(100 * share, 1)} % identified, {number(distance)} mm; see {args.out}")
    ranks.leave()
    return 0


def end_epoch(args, source, val_loader, loss_of, labeller, training):
    """Validate an epoch whose steps are done, log it, and save it, as ``best.pt`` too if none before was as good."""
    began, network, state = time.perf_counter(), labeller.network, training.state
    val_loss = validation_loss(network, val_loader, loss_of, labeller.device, args.amp)
    scores, maps = validate(labeller, source.val_sets, SHOWN)
    identified, distance = mean_score(scores)
    epoch = state["epoch"] + 1
    state["log"].append({
        "epoch": epoch, "loss": float(np.mean(state["losses"])), "val_loss": val_loss,
        "identified": identified, "dtt_mean": distance, "sets": scores, "lr": training.scheduler.get_last_lr()[0],
        "images_per_s": source.steps * source.batch_size / state["seconds"], "seconds": state["seconds"],
        "validation_seconds": time.perf_counter() - began,
    })  # fmt: skip
    state["frames"].append({"epoch": epoch, "distance": distance, "maps": maps})
    state.update(epoch=epoch, losses=[], seconds=0.0)
    better_one = better((identified, distance), state["best"])
    if better_one:
        state["best"] = [identified, distance]
    if ranks.rank() == 0:
        if better_one:
            save_best(args.out, state, network)
        save_last(args.out, training)


def epoch_line(entry, epochs, pace):
    """Return an epoch's entry of the log as one line; ``pace`` is how many seconds an epoch takes."""
    left = tqdm.format_interval(pace * (epochs - entry["epoch"]))
    return (
        f"epoch {entry['epoch']}/{epochs}: loss {entry['loss']:.4f}, validation loss {number(entry['val_loss'], 4)}, "
        f"{number(100 * entry['identified'], 0)} % identified, error {number(entry['dtt_mean'], 1)} mm, "
        f"{entry['images_per_s']:.1f} images/s, {left} left"
    )


def give_up(out, source, epoch, training):
    """Save the state that led to a non-finite loss, and name the samples of its batch in a `UserError`.

    No step was taken, but the running statistics of the network, not of the average, have the batch in them.
    """
    names = ", ".join(source.names(epoch, len(training.state["losses"])))
    if ranks.rank() == 0:
        save_checkpoint(out / "not_finite.pt", training.checkpoint())
    raise UserError(
        f"non-finite loss in epoch {epoch}, with {names}: check these samples, or train again with "
        f"a lower --lr; the state that led to it is in {out / 'not_finite.pt'}"
    )


def finish(out, state, samples, device):
    """Calibrate the confidences of the best epoch on the validation split, and keep it in ``best.pt``."""
    checkpoint = {**load_checkpoint(out), "data": state["data"], "args": state["args"]}  # as they are now
    save_checkpoint(out / "best.pt", {**checkpoint, **calibrate(Labeller(checkpoint, out, device), samples)})


def draw(out, state, samples):
    """Draw the curves and the animation of the run."""
    curves(state["log"], out / "curves.png")
    frames = [(f["epoch"], f["distance"], [m.numpy() / 255 for m in f["maps"]]) for f in state["frames"]]
    images = [sample.image for sample in samples]
    convergence(frames, images, out / "convergence.gif", samples[0].spacing)


if __name__ == "__main__":
    run(main)
