"""Turn a finished run into shipped weights: only what a prediction needs, calibrated, with a checksum."""

import hashlib
from pathlib import Path

from torch.utils.data import ConcatDataset

from utils.inference.checkpoint import data_of, load_checkpoint, save_checkpoint
from utils.inference.labeller import Labeller
from utils.scans.prepared import load_split
from utils.synthesis.batches import validation_samples
from utils.system.device import choose_device
from utils.system.files import UserError, run, save_text
from utils.system.flags import new_parser, output_file
from utils.training.data import unchanged
from utils.training.engine import calibrate

TO_GO_ON = ("newest", "averaged", "optimizer", "scheduler", "log", "frames", "losses", "processes")
PLACES = ("data", "out", "init")  # on the machine that trained: of no use elsewhere
VIEWS = 480  # augmented views to calibrate on, since few validation scans are labelled wrongly


def build_parser():
    """Return the parser of the command line."""
    example = "python -m weights.publish output/joint/last.pt --out weights/spine.pt"
    parser = new_parser(__doc__, example, "python -m weights.publish")
    parser.add_argument("run", type=Path, help="a run of train.py --synthetic, or a checkpoint of it")
    parser.add_argument("--out", type=output_file, required=True, help="file to write")
    return parser


def check(checkpoint, run):
    """Refuse a checkpoint that cannot be calibrated and shipped, in a `UserError`."""
    if not checkpoint["args"].get("synthetic"):
        raise UserError(f"{run} was not trained with --synthetic, so it lacks levels: give a run that was")
    if not all(key in checkpoint["args"] for key in ("data", "out")):
        raise UserError(f"{run} is published already, and its data are no longer known: give the run it was made of")
    if checkpoint["calibration"] is None and checkpoint["epoch"] < checkpoint["args"]["epochs"]:
        raise UserError(f"{run} is of a training that is not finished: go on with it by train.py --resume")
    if not unchanged(checkpoint):
        raise UserError(
            f"{', '.join(data_of(checkpoint))} changed since {run} was trained, which may have seen what it would be "
            "calibrated on: prepare the same data again, or train again"
        )


def main(argv=None):
    """Publish a run, as the flags say."""
    args = build_parser().parse_args(argv)
    checkpoint = load_checkpoint(args.run)
    check(checkpoint, args.run)
    samples = ConcatDataset([validation_samples(), *(load_split(folder, "val") for folder in data_of(checkpoint))])
    checkpoint.update(calibrate(Labeller(checkpoint, args.run, choose_device()), samples, VIEWS))
    checkpoint["args"] = {key: value for key, value in checkpoint["args"].items() if key not in PLACES}
    checkpoint["data"] = None
    kept = {key: value for key, value in checkpoint.items() if key not in TO_GO_ON}
    save_checkpoint(args.out, kept)
    digest = hashlib.sha256(args.out.read_bytes()).hexdigest()
    save_text(args.out.with_suffix(".sha256"), f"{digest}  {args.out.name}\n")
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, epoch {checkpoint['epoch']}, sha256 {digest}")


if __name__ == "__main__":
    run(main)
