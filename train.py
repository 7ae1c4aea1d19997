"""Train a network to find and name intervertebral discs, on slices made by prepare_spinegeneric.py.

The network is the stacked hourglass with multi-level attention of Azad, Rouhier and Cohen-Adad (2021),
or one to compare with. ``--recipe published`` trains as that paper's code does; ``default`` as measured
to be better.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from models import MODELS, build_model
from utils.charts import curves
from utils.checkpoint import FORMAT, SHIPPED, code_version, load_checkpoint, save_checkpoint
from utils.device import choose_device
from utils.engine import better, calibrate, train_epoch, validate, validation_loss
from utils.figures import convergence
from utils.files import UserError, run, save_json, save_text
from utils.labeller import Labeller
from utils.loss import focal_loss, mse_loss
from utils.recipes import RECIPES, build_optimizer, build_scheduler
from utils.skeleton import learn_prior
from utils.sources import Prepared, Synthetic
from utils.training import TrainingSlices

LOSSES = {"focal": focal_loss, "mse": mse_loss}
FOCAL_BIAS = -4.0  # heatmaps start nearly empty, as CornerNet's do
SHOWN = 4  # validation slices in the animation
SAME_ON_RESUME = ("recipe", "epochs", "batch_size", "lr", "seed")


def build_parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    place = parser.add_argument_group("data")
    source = place.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder written by prepare_spinegeneric.py")
    source.add_argument(
        "--synthetic", type=int, nargs="?", const=1000, metavar="PEOPLE",
        help="images made on the way from so many drawn people (4.5 MB of memory each), and no scan at all",
    )  # fmt: skip
    place.add_argument("--out", type=Path, required=True, help="folder of this run, such as output/RUN")
    place.add_argument(
        "--workers", type=int, default=0, help="processes that prepare batches; 0: none beside the training"
    )
    network = parser.add_argument_group("network")
    network.add_argument("--model", choices=MODELS, default="hourglass_attention", help="architecture")
    network.add_argument("--stacks", type=int, default=2, help="hourglasses in a row")
    network.add_argument("--blocks", type=int, default=1, help="residual blocks per place of an hourglass")
    network.add_argument("--features", type=int, help="channels inside (default: 64, published 256)")
    training = parser.add_argument_group("training")
    training.add_argument("--recipe", choices=sorted(RECIPES), default="default", help="how to train")
    training.add_argument("--epochs", type=int, default=100, help="length of the training")
    training.add_argument("--batch-size", type=int, help="slices a step (default: 8, published 3)")
    training.add_argument("--lr", type=float, help="learning rate (default: 1e-3, published 2.5e-4)")
    training.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    training.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU where there is one)")
    training.add_argument("--no-amp", dest="amp", action="store_false", help="float32, even where bfloat16 is fast")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on with the run in --out")
    start.add_argument(
        "--init", type=Path, nargs="?", const=SHIPPED, metavar="WEIGHTS",
        help="start from the weights of this run or checkpoint (bare: from those that come with the software)",
    )  # fmt: skip
    return parser


def settle(args):
    """Return the flags as a dict, with the recipe's own values where a flag was not given."""
    settings = vars(args).copy()
    for key, value in RECIPES[args.recipe].items():
        if settings.get(key) is None:
            settings[key] = value
    for key in ("epochs", "batch_size", "stacks", "blocks", "features"):
        if settings[key] < 1:
            raise UserError(f"--{key.replace('_', '-')} {settings[key]}: give 1 or more")
    return {key: str(value) if isinstance(value, Path) else value for key, value in settings.items()}


def start_from(path, network, levels):
    """Copy the weights of another run into a network of the same shape and levels."""
    checkpoint = load_checkpoint(path)
    if list(checkpoint["levels"]) != list(levels):
        raise UserError(f"{path} was trained for other levels than the data: prepare the data with --levels to match")
    try:
        network.load_state_dict(checkpoint["state_dict"])
    except RuntimeError:
        raise UserError(
            f"{path} holds another network ({checkpoint['model']}): give the same --model, --stacks, --features"
        ) from None


def resume(out, state, network, optimizer, scheduler):
    """Bring back the run in ``out``, exactly as it stopped.

    Raises
    ------
    UserError
        If there is none, or it was made with other flags.
    """
    last = out / "last.pt"
    if not last.exists():
        raise UserError(f"{out} holds no run to resume: leave --resume out to start one")
    checkpoint = load_checkpoint(last)
    for key in ("model", "levels", "resolution"):
        if checkpoint[key] != state[key]:
            raise UserError(
                f"{last} was made with another {key} ({checkpoint[key]}, not {state[key]}): give the same flags"
            )
    settings = {key: checkpoint["args"].get(key) for key in SAME_ON_RESUME}
    changed = [key for key in SAME_ON_RESUME if settings[key] != state["args"][key]]
    if changed:
        flags = ", ".join(f"--{key.replace('_', '-')} {settings[key]}" for key in changed)
        raise UserError(f"{last} was made with {flags}: give the same to go on with it")
    network.load_state_dict(checkpoint["state_dict"])
    optimizer.load_state_dict(checkpoint.pop("optimizer"))
    scheduler.load_state_dict(checkpoint.pop("scheduler"))
    state.update(checkpoint)


def main(argv=None):
    """Train, as the flags say."""
    args = build_parser().parse_args(argv)
    settings = settle(args)
    if (args.out / "last.pt").exists() and not args.resume:
        raise UserError(f"{args.out} holds a run: add --resume to go on with it, or give another --out")
    device = choose_device(args.device)
    torch.manual_seed(args.seed)  # of the weights; samples have generators of their own
    recipe = RECIPES[args.recipe]

    source = (Synthetic if args.synthetic else Prepared)(args, settings["batch_size"], device)
    levels, loader, val_samples, length = source.levels, source.loader, source.val_samples, source.length
    val_loader = DataLoader(TrainingSlices(val_samples, levels, source.sigma), settings["batch_size"])

    shape = {"stacks": args.stacks, "blocks": args.blocks, "features": settings["features"]}
    model = {"name": args.model, "levels": len(levels), **shape, "in_channels": recipe["in_channels"]}
    network = build_model(**model)
    loss_of = LOSSES[recipe["loss"]]
    if recipe["loss"] == "focal":
        network.init_bias(FOCAL_BIAS)
    if args.init:
        start_from(args.init, network, levels)
    network.to(device, memory_format=torch.channels_last)
    optimizer = build_optimizer(recipe, network, settings["lr"])
    scheduler = build_scheduler(recipe, optimizer, settings["lr"], args.epochs, len(loader))

    state = {
        "format": FORMAT, "model": model, "levels": levels, "resolution": source.resolution,
        "output": "logits" if recipe["loss"] == "focal" else "heatmaps",
        "prior": learn_prior(source.spines).to_dict(),
        "calibration": None, "epoch": 0, "best": None, "log": [], "frames": [],
        "data": str(args.data) if args.data else None, "args": settings, "version": code_version(),
    }  # fmt: skip
    if args.resume:
        resume(args.out, state, network, optimizer, scheduler)
    save_json(
        args.out / "args.json", {**settings, "network": model, "device": str(device), "version": state["version"]}
    )
    labeller = Labeller(state, args.out, device, network)
    size = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    print(f"{args.model}: {size:.2f} M parameters; slices: {length} an epoch, {len(val_samples)} for validation")

    with tqdm(total=args.epochs * length, initial=state["epoch"] * length, unit="image", smoothing=0.05) as bar:
        bar.validation = ""
        for epoch in range(state["epoch"] + 1, args.epochs + 1):
            bar.set_description(f"epoch {epoch}/{args.epochs}")
            source.items.epoch, began = epoch, time.perf_counter()
            loss = train_epoch(network, loader, loss_of, optimizer, scheduler, device, args.amp, bar)
            seconds = time.perf_counter() - began
            val_loss = validation_loss(network, val_loader, loss_of, device, args.amp)
            identified, distance, predictions = validate(labeller, val_samples)
            bar.validation = f", validation {100 * identified:.0f} % identified, error {distance:.1f} mm"
            state["epoch"] = epoch
            state["log"].append({
                "epoch": epoch, "loss": loss, "val_loss": val_loss, "identified": identified, "dtt_mean": distance,
                "lr": scheduler.get_last_lr()[0], "images_per_s": length / seconds, "seconds": seconds,
            })  # fmt: skip
            state["frames"].append(frame(epoch, distance, predictions[:SHOWN]))
            save(args.out, state, network, optimizer, scheduler, (identified, distance))
    finish(args.out, val_samples, device)
    draw(args.out, state, val_samples[:SHOWN])
    share, distance = state["best"]
    print(f"best on validation: {100 * share:.1f} % identified, {distance:.2f} mm; see {args.out}")


def frame(epoch, distance, predictions):
    """Return what the animation shows of an epoch: heatmaps in one map a slice, as bytes."""
    maps = [torch.from_numpy((255 * p.heatmaps.max(0)).astype(np.uint8)) for p in predictions]
    return {"epoch": epoch, "distance": distance, "maps": maps}


def save(out, state, network, optimizer, scheduler, score):
    """Save the epoch: ``best.pt`` if it is the best one, the log, and last of all ``last.pt``."""
    state["state_dict"] = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    if better(score, state["best"]):
        state["best"] = list(score)
        save_checkpoint(out / "best.pt", {**state, "log": [], "frames": []})
    save_text(out / "log.jsonl", "".join(json.dumps(line) + "\n" for line in state["log"]))
    save_checkpoint(
        out / "last.pt", {**state, "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    )


def finish(out, samples, device):
    """Calibrate the confidence of the best epoch on the validation split, and keep it in ``best.pt``."""
    checkpoint = load_checkpoint(out)
    calibration = calibrate(Labeller(checkpoint, out, device), samples)
    save_checkpoint(out / "best.pt", {**checkpoint, "calibration": calibration.to_dict()})


def draw(out, state, samples):
    """Draw the curves and the animation of the run."""
    curves(state["log"], out / "curves.png")
    frames = [(f["epoch"], f["distance"], [m.numpy() / 255 for m in f["maps"]]) for f in state["frames"]]
    convergence(frames, [sample.image for sample in samples], out / "convergence.gif")


if __name__ == "__main__":
    run(main)
