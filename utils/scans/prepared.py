"""A prepared data set on disk: its summary, its table of samples, and its splits, whose pixels stay in their files."""

import contextlib
import csv
import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from utils.discs import FIRST, LAST
from utils.scans.sample import from_integers, load_sample
from utils.system.files import UserError

NEEDED = ("file", "name", "split")  # columns of samples.tsv that are read
PIXELS = ("image", "slabs")  # nearly all of a sample's size


def load_summary(folder):
    """Return what `summary.json` says of a prepared data set: levels, resolution, sigma, counts.

    Raises
    ------
    UserError
        If the folder holds no prepared data set.
    """
    try:
        summary = json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))
        known = [isinstance(level, int) and FIRST <= level <= LAST for level in summary["levels"]]
        if not (known and all(known) and 0 < summary["resolution"] < np.inf and 0 < summary["sigma"] < np.inf):
            raise ValueError
        return summary
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise _not_prepared(folder) from None


def _not_prepared(folder):
    return UserError(f"{folder} holds no prepared data: run prepare_spinegeneric.py --out {folder} first")


def load_table(folder):
    """Return the rows of `samples.tsv` as dicts.

    Raises
    ------
    UserError
        If the folder holds no prepared data set.
    """
    try:
        path = Path(folder) / "samples.tsv"
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as table:
            rows = list(csv.DictReader(table, delimiter="\t", restval=""))
    except (OSError, csv.Error):
        raise _not_prepared(folder) from None
    if any(not row.get(column) for row in rows for column in NEEDED):
        lacking = ", ".join(NEEDED)
        raise UserError(f"{path} is damaged (a row lacks one of {lacking}): run prepare_spinegeneric.py again")
    return rows


def digest_of(samples, *settings):
    """Return a hash of samples and of what they were prepared with."""
    sha = hashlib.sha256(repr(settings).encode())
    for sample in samples:
        sha.update(sample.name.encode("utf-8", "surrogateescape"))
        # Older data hold half-precision slabs, and runs on them their hash.
        half = sample.slabs.astype(np.float16)
        slabs = half if np.array_equal(half, sample.slabs) else sample.slabs
        for part in (sample.points, sample.levels, sample.states, sample.across, sample.image, slabs):
            sha.update(np.ascontiguousarray(part))
    return sha.hexdigest()


class Samples(Sequence):
    """Samples of prepared data: all that is small is in memory, the pixels are read whenever a sample is asked for.

    However many there are, memory holds one; processes share the files' pages in the system's cache. Iterating and
    indexing return a `Sample`, a slice a list of them.

    Parameters
    ----------
    files : list of (path, group)

    Raises
    ------
    UserError
        If a file is damaged, no sample, or gone; later, if one was changed or removed since.
    """

    def __init__(self, files):
        self._stored = [_Stored(path, group) for path, group in files]

    def __len__(self):
        """Return the number of samples."""
        return len(self._stored)

    def __getitem__(self, index):
        """Read a sample, or a list of them."""
        if isinstance(index, slice):
            return [stored.read() for stored in self._stored[index]]
        return self._stored[index].read()

    def without_pixels(self):
        """Return all samples with None in place of image and slabs; no file is read."""
        return [stored.sample for stored in self._stored]


class _Stored:
    """A sample whose pixels are in its file."""

    def __init__(self, path, group):
        self.path, self.state = path, _state(path)
        sample = load_sample(path)  # whole, with all checksums
        self.sample = replace(sample, group=group, **dict.fromkeys(PIXELS))
        with _usable(path), open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            members = [archive.getinfo(f"{part}.npy") for part in PIXELS]
            # Where the arrays are compressed after all, by other software, samples are read as a whole.
            plain = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            self.offsets = [_offset(file, member) for member in members] if plain else None

    def read(self):
        """Return the sample."""
        with _usable(self.path), open(self.path, "rb") as file:
            if _state(file.fileno()) != self.state:
                raise ValueError
            if self.offsets is None:
                pixels = load_sample(self.path)
                return replace(self.sample, **{part: getattr(pixels, part) for part in PIXELS})
            pixels = {}
            for part, offset in zip(PIXELS, self.offsets, strict=True):
                file.seek(offset)
                pixels[part] = from_integers(np.lib.format.read_array(file, allow_pickle=False))
            return replace(self.sample, **pixels)


def _state(file):
    """Return what changes when a file is written, which is given by its path or descriptor; None where it is gone."""
    with contextlib.suppress(OSError):
        status = os.stat(file)
        return status.st_size, status.st_mtime_ns


def _offset(file, member):
    """Return where the content of an uncompressed member of a zip file begins."""
    file.seek(member.header_offset + 26)  # the lengths of two fields, which follow a header of 30 bytes
    return member.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))


@contextlib.contextmanager
def _usable(path):
    """Turn the error of reading a file that was changed or removed into a sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise UserError(
            f"{path} was changed or removed while it was in use: run the same again, and leave prepared data as they "
            "are meanwhile"
        ) from None


def holds(folder, split):
    """Return whether a split of prepared data has samples; see `load_split`."""
    return any(row["split"] == split for row in load_table(folder))


def load_split(folder, split):
    """Return the samples of a split.

    Parameters
    ----------
    folder : path-like
        Written by prepare_spinegeneric.py.
    split : str
        ``train``, ``val`` or ``test``.

    Returns
    -------
    Samples

    Raises
    ------
    UserError
        If the folder holds no prepared data set, or the split no sample.
    """
    rows = [row for row in load_table(folder) if row["split"] == split]
    if not rows:
        raise UserError(
            f"the split {split!r} of {folder} holds no sample: prepare the data again, with subjects for it by --split "
            "or --split-file"
        )
    # Data prepared before 2026-11-26 have no groups.
    return Samples([(Path(folder) / row["file"], row.get("group", "")) for row in rows])
