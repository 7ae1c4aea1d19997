"""How long either recipe trains until its discs are right: the whole of train.py, start and validation included.

``python -m speed.until`` measures both on prepared data, with several seeds. A training ends without success after 100
epochs; by the published recipe also once it has taken ten times as long as by the default one.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from speed.timing import ROOT, Row, start
from utils.evaluation.tables import markdown
from utils.system.files import UserError, run
from utils.system.flags import natural_number, new_parser, share
from utils.system.numbers import number

SUBJECTS = 40  # synthetic ones: 30 to train on, 4 for validation
EPOCHS = 100  # without success, the training ends after them
TIMES = 10  # as long as the default recipe: what the published one gets


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python -m speed.until --data dataset/NAME", "python -m speed.until")
    parser.add_argument("--data", type=Path, metavar="FOLDER", required=True, help="prepared data")
    parser.add_argument("--error", type=share, default=0.1, help="share of the validation discs that may be wrong")
    parser.add_argument("--seeds", type=natural_number, default=3, help="trainings by each recipe")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    return parser


def time_until(error, data, recipe, seed=0, device="cpu", limit=float("inf")):
    """Train by a recipe until the share of validation discs that are not identified falls to ``error``.

    Parameters
    ----------
    error : float
    data : Path
        Prepared.
    recipe : str
        Of `utils.training.recipes.RECIPES`.
    seed : int
    device : str
    limit : float
        Seconds after which the training is stopped.

    Returns
    -------
    float
        Seconds until the first epoch with no more than that; infinite if there is none.

    Raises
    ------
    UserError
        If the training fails, with its own message.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, messages = Path(folder) / "run", Path(folder) / "messages"
        command = [sys.executable, ROOT / "train.py", "--data", data, "--out", out, "--recipe", recipe, "--seed", seed,
                   "--epochs", EPOCHS, "--device", device]  # fmt: skip
        began = time.perf_counter()
        with messages.open("w") as file:
            training = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=file)
        try:
            while (taken := time.perf_counter() - began) < limit:
                ended = training.poll()  # before the log is read, so that its last epoch is not overlooked
                if reached(out / "log.jsonl", error):
                    return taken
                if ended:
                    said = messages.read_text().strip().rpartition("\n")[2].removeprefix("error: ")
                    raise UserError(said if ended > 0 else f"a training was killed by signal {-ended}: run it again")
                if ended == 0:
                    break
                time.sleep(0.2)
            return float("inf")
        finally:
            training.terminate()
            training.wait()


def reached(log, error):
    """Return whether an epoch in the log of a training has an error this small."""
    if not log.exists():
        return False
    shares = [json.loads(line)["identified"] for line in log.read_text().splitlines()]
    least = 1 - error - 1e-9  # what rounding takes from a share such as 1 - 0.3
    return any(found is not None and found >= least for found in shares)  # null where the scans show no disc


def row(error, folder, device):
    """Measure both recipes on the same prepared synthetic subjects."""
    script = "import sys, {0}; {0}.main(sys.argv[1:])".format
    start(script("make_phantom"), "--subjects", SUBJECTS, "--out", folder / "tree", "--jobs", 2)
    start(script("prepare_spinegeneric"), "--data", folder / "tree", "--out", folder / "data", "--jobs", 2)
    default = time_until(error, folder / "data", "default", device=device)
    plain = time_until(error, folder / "data", "published", device=device, limit=TIMES * default)
    return Row(f"train until {100 * error:.0f} % of discs are wrong", default, "--recipe published", plain,
               f"{TIMES} or more; a dash: not in {EPOCHS} epochs or {TIMES} times as long", "s")  # fmt: skip


def main(argv=None):
    """Measure, as the flags say."""
    args = build_parser().parse_args(argv)
    times = {"default": [], "published": []}
    for seed in range(args.seeds):
        limit = float("inf")
        for recipe, own in times.items():
            own.append(time_until(args.error, args.data, recipe, seed, args.device, limit))
            limit = TIMES * own[-1]
            # At once: all of them can take hours, and what was measured should outlive an interruption.
            print(f"{recipe}, seed {seed}: {number(own[-1], 0)} s", file=sys.stderr, flush=True)
    rows = [[recipe, *(number(value, 0) for value in (statistics.median(own), *own))] for recipe, own in times.items()]
    print(markdown(["recipe", "median, s", *(f"seed {seed}" for seed in range(args.seeds))], rows))


if __name__ == "__main__":
    run(main)
