"""The peak memory of a training and of an evaluation, with few samples and with many."""

from dataclasses import replace

import numpy as np

from speed.timing import Row, most_memory
from utils.discs import LEVELS
from utils.scans.sample import save_sample
from utils.synthesis.batches import RESOLUTION_MM, SIGMA_MM, validation_samples
from utils.system.files import save_json, save_table

FEW, MANY = 64, 512  # samples
VALIDATION = 1 / 8  # of them
TRAIN = "import sys, train; train.main(sys.argv[1:])"
EVALUATE = "import sys, evaluate; evaluate.main(sys.argv[1:])"


def make_data(folder, count):
    """Write a prepared data set of ``count`` samples that differ in their names alone; returns the size of one in MB.

    All are in the splits ``train`` and ``test``, an eighth in ``val``.
    """
    sample, rows = validation_samples(4, 1)[0], [("file", "name", "subject", "contrast", "split")]
    for index in range(count):
        file, subject = f"samples/{index}.npz", f"sub-{index:04d}"
        save_sample(folder / file, replace(sample, name=subject, subject=subject, group=""), np.zeros((1, 1, 1)))
        splits = ("train", "test", "val") if index < VALIDATION * count else ("train", "test")
        rows += [(file, subject, subject, sample.contrast, split) for split in splits]
    save_table(folder / "samples.tsv", rows, "\t")
    save_json(folder / "summary.json", {"levels": LEVELS, "resolution": RESOLUTION_MM, "sigma": SIGMA_MM})
    return (sample.image.nbytes + sample.slabs.nbytes) / 2**20


def rows(folder):
    """Measure one epoch of training a small network, and its evaluation.

    Parameters
    ----------
    folder : Path
        An empty one, for files.

    Yields
    ------
    Row
    """
    training, evaluation, size = [], [], 0
    for count in (MANY, FEW):
        data, run, device = folder / str(count), folder / f"run{count}", ("--device", "cpu")
        size = make_data(data, count)
        shape = ("--features", 16, "--stacks", 1, "--epochs", 1)
        training.append(most_memory(TRAIN, "--data", data, "--out", run, *shape, *device))
        evaluation.append(most_memory(EVALUATE, "--weights", run, "--data", data, *device))
    for work, (many, few) in (("training on", training), ("evaluating", evaluation)):
        yield Row(f"memory, {work} {MANY} samples", many, f"{FEW} samples", few,
                  f"0.91 or more: no sample is kept; one has {size:.1f} MB", "MB")  # fmt: skip
