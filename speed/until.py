"""How long either recipe trains until its discs are right: the whole of train.py, start and validation included."""

import json
import subprocess
import sys
import time

from speed.timing import ROOT, Row, start
from utils.training.recipes import RECIPES

SUBJECTS = 40  # synthetic ones: 30 to train on, 4 for validation
EPOCHS = 200  # without success, the training ends after them


def time_until(error, folder, recipe, device):
    """Train by a recipe until the share of validation discs that are not identified falls to ``error``.

    Returns
    -------
    float
        Seconds until the first epoch with no more than that; NaN if there is none.
    """
    out = folder / recipe
    command = [sys.executable, ROOT / "train.py", "--data", folder / "data", "--out", out, "--recipe", recipe,
               "--epochs", EPOCHS, "--device", device]  # fmt: skip
    began = time.perf_counter()
    training = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while training.poll() is None:
            if reached(out / "log.jsonl", error):
                return time.perf_counter() - began
            time.sleep(0.2)
        return time.perf_counter() - began if reached(out / "log.jsonl", error) else float("nan")
    finally:
        training.terminate()
        training.wait()


def reached(log, error):
    """Return whether an epoch in the log of a training has an error this small."""
    if not log.exists():
        return False
    return any(1 - json.loads(line)["identified"] <= error for line in log.read_text().splitlines())


def row(error, folder, device):
    """Measure both recipes on the same prepared synthetic subjects."""
    script = "import sys, {0}; {0}.main(sys.argv[1:])".format
    start(script("make_phantom"), "--subjects", SUBJECTS, "--out", folder / "tree", "--jobs", 2)
    start(script("prepare_spinegeneric"), "--data", folder / "tree", "--out", folder / "data", "--jobs", 2)
    default, plain = (time_until(error, folder, recipe, device) for recipe in sorted(RECIPES))
    return Row(f"train until {100 * error:.0f} % of discs are wrong", default, "--recipe published", plain,
               "more than 1", "s")  # fmt: skip
