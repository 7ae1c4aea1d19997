"""Turn a finished run into the weights that are shipped: 16 bits, nothing but what a prediction needs, a checksum."""

import argparse
import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from utils.inference.checkpoint import SHIPPED, load_checkpoint, save_checkpoint  # noqa: E402
from utils.inference.labeller import Labeller  # noqa: E402
from utils.synthesis.batches import validation_samples  # noqa: E402
from utils.system.device import choose_device  # noqa: E402
from utils.system.files import run, save_text  # noqa: E402
from utils.system.flags import Help  # noqa: E402
from utils.training.engine import calibrate  # noqa: E402

TO_GO_ON = ("newest", "averaged", "optimizer", "scheduler", "log", "frames")
PLACES = ("data", "out", "init")  # on the machine that trained: nobody else's business


def main(argv=None):
    """Publish a run, as the flags say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    parser.add_argument("run", type=Path, help="checkpoint of train.py --synthetic")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="file to write")
    args = parser.parse_args(argv)
    checkpoint = load_checkpoint(args.run)
    # Of the rounded weights, which are the ones that will be used.
    checkpoint["state_dict"] = {
        key: value.half() if value.is_floating_point() else value for key, value in checkpoint["state_dict"].items()
    }
    checkpoint["calibration"] = calibrate(
        Labeller(checkpoint, args.run, choose_device()), validation_samples()
    ).to_dict()
    checkpoint["args"] = {key: value for key, value in checkpoint["args"].items() if key not in PLACES}
    kept = {key: value for key, value in checkpoint.items() if key not in TO_GO_ON}
    save_checkpoint(args.out, kept)
    digest = hashlib.sha256(args.out.read_bytes()).hexdigest()
    save_text(args.out.with_suffix(".sha256"), f"{digest}  {args.out.name}\n")
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, epoch {checkpoint['epoch']}, sha256 {digest}")


if __name__ == "__main__":
    run(main)
