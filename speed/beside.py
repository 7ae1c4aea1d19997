"""The rate of a training beside another one on the same cores.

``python -m speed.beside`` prints the rate of one alone and of two at once, with the settings of threads that the
environment has.
"""

import os
import subprocess
import sys
import time

import torch

from speed.timing import ROOT, Row
from utils.system.files import run
from utils.system.flags import natural_number, new_parser

SECONDS = 8  # of measuring
START = 12  # after which all processes have loaded what they need
FEATURES = 96
TRAIN = """
import sys, time
import utils  # as every script does, before torch
import torch
from speed.network import trainer
from utils.synthesis.batches import SyntheticBatches
from utils.synthesis.images import generate_bank
from utils.system.device import keep_memory

features, batch_size, began, seconds = (float(value) for value in sys.argv[1:])
keep_memory()
device = torch.device("cpu")
train = trainer(device, {"stacks": 2, "blocks": 1, "features": int(features)})
batch = SyntheticBatches(generate_bank(1, 0, device), int(batch_size)).batch(0, 0)
train([batch])
time.sleep(max(0, began - time.time()))
count, began = 0, time.time()
while not count or time.time() < began + seconds:
    train([batch])
    count += int(batch_size)
print(count / (time.time() - began))
"""


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "OMP_NUM_THREADS=1 python -m speed.beside", "python -m speed.beside")
    parser.add_argument("--batch-size", type=natural_number, default=8, help="images of a step")
    return parser


def rates(count, batch_size, seconds=SECONDS, start=START, features=FEATURES):
    """Return the rates in images/s of ``count`` trainings at the same time."""
    arguments = [str(value) for value in (features, batch_size, time.time() + start, seconds)]
    command = [sys.executable, "-c", TRAIN, *arguments]
    threads = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    running = [
        subprocess.Popen(command, cwd=ROOT, env=threads, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    return [float(process.communicate()[0]) for process in running]


def row(batch_size):
    """Measure two trainings at the same time, beside one alone, in time per image of all."""
    alone, both = (1000 / sum(rates(count, batch_size)) for count in (1, 2))
    return Row("train, one image of two trainings at once", both, "of one alone", alone, "as near to 1 as can be")


def main(argv=None):
    """Measure, as the flags say."""
    args = build_parser().parse_args(argv)
    for count in (1, 2):
        print(f"{count}: {', '.join(f'{rate:.1f}' for rate in rates(count, args.batch_size))} images/s")


if __name__ == "__main__":
    run(main)
