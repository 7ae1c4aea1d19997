"""Prepared data sets as a training reads them: settings, splits, names, and the digest that recognises them."""

import hashlib
import itertools
from pathlib import Path

import numpy as np

from utils.inference.checkpoint import data_of
from utils.scans.prepared import digest_of, holds, load_split, load_summary
from utils.system.files import UserError

SYNTHETIC = "synthetic"  # what the validation set of synthetic images is called


class Data:
    """One data set of prepare_spinegeneric.py or several, which are prepared alike.

    Parameters
    ----------
    folders : list of path-like

    Attributes
    ----------
    settings : (levels, resolution, sigma)
        As in `summary.json`.
    folders : dict of str to Path
        By the names of the data sets.
    train, val : dict of str to Samples
        Likewise.

    Raises
    ------
    UserError
        If a folder holds no prepared data, is given twice, or was prepared with other settings than the first one.
    """

    def __init__(self, folders):
        folders = list(map(Path, folders))
        every = [_settings(folder) for folder in folders]
        if len({folder.resolve() for folder in folders}) < len(folders):
            raise UserError(f"--data {' '.join(map(str, folders))}: give each folder once")
        self.settings = every[0]
        for folder, settings in zip(folders, every, strict=True):
            if settings != self.settings:
                raise UserError(
                    f"{folder} was prepared with other --levels, --resolution or --sigma than {folders[0]}: "
                    "prepare them alike"
                )
        self.folders = dict(zip(_names(folders), folders, strict=True))
        self.train, self.val = (
            {name: load_split(folder, split) for name, folder in self.folders.items()} for split in ("train", "val")
        )

    def digest(self):
        """Return a hash of all samples to train and to validate on; reads all of them."""
        pairs = zip(self.train.values(), self.val.values(), strict=True)
        every = itertools.chain.from_iterable(itertools.chain(*pair) for pair in pairs)
        return digest_of(every, *map(len, self.train.values()), *self.settings)


def check_unseen(data):
    """Refuse scans that are trained on in one data set, and validated or tested on in another.

    Parameters
    ----------
    data : Data
        Scans are compared by their slabs, which are the same whatever their names and labels are.

    Raises
    ------
    UserError
        For the first of them.
    """
    trained = {_pixels(sample): (name, sample.name) for name, samples in data.train.items() for sample in samples}
    tested = {name: load_split(folder, "test") for name, folder in data.folders.items() if holds(folder, "test")}
    for kind, sets in (("validation", data.val), ("test", tested)):
        for name, samples in sets.items():
            for sample in samples:
                if twin := trained.get(_pixels(sample)):
                    raise UserError(
                        f"{sample.name} of the {kind} split of {name} is {twin[1]} of the training split of "
                        f"{twin[0]}: prepare both with one --split-file, or --exclude it from one of them"
                    )


def check_resolution(folder, resolution):
    """Refuse prepared data whose pixels have another size than those of a network, in mm, as a `UserError`."""
    own = load_summary(folder)["resolution"]
    if not np.isclose(own, resolution):
        raise UserError(
            f"{folder} has pixels of {own} mm, the network {resolution}: prepare it with --resolution {resolution}"
        )


def _settings(folder):
    """Return the levels, resolution and sigma that a data set was prepared with."""
    summary = load_summary(folder)
    return summary["levels"], summary["resolution"], summary["sigma"]


def _names(folders):
    """Return the names of data sets: those of their folders, or whole paths where these are not distinct."""
    names = [folder.resolve().name for folder in folders]
    distinct = len({*names, SYNTHETIC}) > len(names)
    return names if distinct else [str(folder.resolve()) for folder in folders]


def _pixels(sample):
    return hashlib.sha256(np.ascontiguousarray(sample.slabs)).digest()


def unchanged(checkpoint):
    """Return whether the data of a run are as they were when it was trained.

    Parameters
    ----------
    checkpoint : dict
        Of a run with data. Runs of versions before 2026-11-25 hold no digest, and pass.

    Raises
    ------
    UserError
        If the data cannot be read.
    """
    known = checkpoint.get("samples")
    return known is None or Data(data_of(checkpoint)).digest() == known
