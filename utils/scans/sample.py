"""A prepared slice with its discs, on disk and in memory."""

import zipfile
import zlib
from dataclasses import dataclass, replace

import numpy as np

from utils.discs import FIRST, LAST, TYPICAL_GAP_MM
from utils.scans.plane import Plane
from utils.system.files import UserError, save_npz

PRESENT, OUTSIDE, UNKNOWN = 1, 0, -1
IN_SLAB_MM, BESIDE_MM = 5.0, 14.0  # a disc's tip is a few mm wide, and its label as much off
WHITE = 2**16 - 1  # what 1 is stored as
MARGIN_MM = 10.0  # a likely place is trusted to lie outside once it is that far out


@dataclass
class Sample:
    """A prepared slice.

    Attributes
    ----------
    name, subject, contrast, source : str
    image : (H, W) float32 array in 0..1
    points : (N, 2) float array
        Row and column in pixels, from top to bottom.
    levels : (N,) int array
    states : (26,) int8 array
        PRESENT, OUTSIDE or UNKNOWN (may be visible but was not labelled), by level.
    across : (N,) float array
        How far each disc lies beside the plane in mm, to the patient's right.
    plane : Plane
        Of ``image``, which runs through the labels.
    slabs : (S, H, W) float32 array in 0..1
        The same view in slabs side by side through the whole volume, placed without any label.
    offsets : (S,) float array
        Distance in mm of each slab from the plane, to the patient's right.
    group : str
        Equal for subjects who are the same participant; the subject itself where nothing else is known.
    """

    name: str
    subject: str
    contrast: str
    source: str
    image: np.ndarray
    points: np.ndarray
    levels: np.ndarray
    states: np.ndarray
    across: np.ndarray
    plane: Plane
    slabs: np.ndarray
    offsets: np.ndarray
    group: str = ""

    def __post_init__(self):
        self.group = self.group or self.subject

    @property
    def spacing(self):
        """Size of a pixel in mm."""
        return self.plane.spacing

    def in_plane(self):
        """Return the sample as its image shows it, which is the slab through the labels; see `in_slab`."""
        return self._seen(self.image, np.abs(self.across))

    def in_slab(self, index):
        """Return the sample as one of its slabs shows it.

        A disc beside the slab by more than 14 mm is outside of it; one beside it by more than 5 mm may or may
        not be seen, so that it is unknown.
        """
        return self._seen(self.slabs[index], np.abs(self.across - self.offsets[index]))

    def _seen(self, image, away):
        """Return the sample with an image, and with those of its discs that lie near it."""
        states = self.states.copy()
        states[self.levels[away > IN_SLAB_MM]] = UNKNOWN
        states[self.levels[away > BESIDE_MM]] = OUTSIDE
        kept = away <= IN_SLAB_MM
        return replace(
            self, image=image, points=self.points[kept], levels=self.levels[kept], across=self.across[kept],
            states=states,
        )  # fmt: skip


def likely_points(points, levels):
    """Return where every level lies or would lie.

    Between labelled discs by interpolation; beyond them by going on from the end, with the typical
    distances scaled to this spine and a direction that bends from the spine's end toward the vertical.

    Parameters
    ----------
    points : (N, 2) array
        Row and column in pixels (or mm), from top to bottom.
    levels : (N,) int array, ascending

    Returns
    -------
    (26, 2) array
        By level; NaN where fewer than two discs are known, and at index 0.
    """
    places = np.full((LAST + 1, 2), np.nan)
    levels = np.asarray(levels, int)
    points = np.reshape(points, (-1, 2)).astype(float)
    places[levels] = points
    if len(levels) < 2:
        return places
    along = np.concatenate([[0.0], np.cumsum([TYPICAL_GAP_MM[k] for k in range(FIRST, LAST)])])  # index level - FIRST
    inner = np.arange(levels[0], levels[-1] + 1)
    for axis in (0, 1):
        places[inner, axis] = np.interp(along[inner - FIRST], along[levels - FIRST], points[:, axis])
    length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
    size = length / (along[levels[-1] - FIRST] - along[levels[0] - FIRST])
    for end, inward, step in ((levels[0], levels[1], -1), (levels[-1], levels[-2], 1)):
        direction = places[end] - places[inward]
        direction /= np.linalg.norm(direction)
        for level in range(end + step, LAST + 1 if step > 0 else FIRST - 1, step):
            direction = 0.9 * direction + 0.1 * np.array([step, 0.0])
            direction /= np.linalg.norm(direction)
            places[level] = places[level - step] + direction * size * TYPICAL_GAP_MM[min(level, level - step)]
    return places


def level_states(points, levels, shape, spacing):
    """Return of every level whether it is present, outside of the slice, or unknown.

    Parameters
    ----------
    points : (N, 2) array
        Row and column in pixels.
    levels : (N,) int array, ascending
    shape : (H, W)
    spacing : float
        In mm.

    Returns
    -------
    (26,) int8 array
        By level. A level that was not labelled is OUTSIDE if its likely place is more than 10 mm out of
        the slice, or if one between it and the labelled discs is.
    """
    states = np.full(LAST + 1, UNKNOWN, np.int8)
    places = likely_points(points, levels)
    margin = MARGIN_MM / spacing
    out = ((places < -margin) | (places > np.array(shape) - 1 + margin)).any(1)
    if len(levels) >= 2:
        for step in (-1, 1):
            beyond = range(levels[0] - 1, 0, -1) if step < 0 else range(levels[-1] + 1, LAST + 1)
            gone = False
            for level in beyond:
                gone = gone or bool(out[level])
                states[level] = OUTSIDE if gone else UNKNOWN
    states[np.asarray(levels, int)] = PRESENT
    return states


def save_sample(path, sample, heatmaps):
    """Write a sample, with its heatmaps (C, H / 4, W / 4) in 0..1 for those who use the data elsewhere."""
    # The noise of a scan shrinks by a seventh alone, and packing it takes a fifth of the time of preparing a scan.
    save_npz(
        path, ("image", "slabs"),
        image=sample.image, points=sample.points.astype(np.float32), levels=sample.levels.astype(np.int64),
        states=sample.states, heatmaps=heatmaps.astype(np.float16), plane=sample.plane.as_array(),
        spacing=np.float64(sample.spacing),
        across=sample.across.astype(np.float32), slabs=to_integers(sample.slabs), offsets=sample.offsets,
        name=np.array(sample.name), subject=np.array(sample.subject),
        contrast=np.array(sample.contrast), source=np.array(sample.source),
    )  # fmt: skip


def to_integers(slabs):
    """Return slabs in 0..1 as whole numbers of 16 bits, which are 32 times as fine as half precision near 1."""
    return np.round(np.asarray(slabs, np.float32) * WHITE).astype(np.uint16)


def from_integers(stored):
    """Return the float32 slabs that `to_integers` stored, or that were stored as half-precision numbers in 0..1."""
    return stored.astype(np.float32) / np.float32(WHITE if stored.dtype == np.uint16 else 1)


def load_sample(path):
    """Read a sample that `save_sample` wrote.

    Raises
    ------
    UserError
        If the file is damaged or was not written by this tool; pickled arrays are refused.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            image = stored["image"]
            words = {key: str(stored[key]) for key in ("name", "contrast", "source")}
            # Samples of versions before 2026-11-26 call the subject "person".
            words["subject"] = str(stored["subject" if "subject" in stored else "person"])
            plane = Plane.from_array(stored["plane"], image.shape)
            return Sample(**words, image=image, points=stored["points"].astype(float), levels=stored["levels"],
                          states=stored["states"], across=stored["across"].astype(float), plane=plane,
                          slabs=from_integers(stored["slabs"]), offsets=stored["offsets"])  # fmt: skip
    # RuntimeError: a member that says that it is encrypted, or packed in a way that is not known.
    except (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, MemoryError, OverflowError,
            zipfile.BadZipFile, zlib.error):  # fmt: skip
        raise UserError(f"{path} is no prepared sample: run prepare_spinegeneric.py again") from None
