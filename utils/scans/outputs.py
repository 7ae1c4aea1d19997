"""The files of a labelled scan, and whose they are: no labels are replaced by those of another scan."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from utils.discs import name
from utils.scans.names import halves_of
from utils.system.files import UserError
from utils.system.manifest import TOOL

REVIEWED = ("corrected", "good")  # what a reviewer said of labels that are never replaced


def digest(content):
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(content).hexdigest()


def image_digest(image):
    """Return the SHA-256 of a scan's file, or of both halves of a pair: what it is, wherever it lies.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    return digest(b"".join(map(_bytes_of, halves_of(image))))


def _bytes_of(path):
    """Return the content of a file, or raise a `UserError` that says why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = "it is a link to nothing: fetch its content first" if path.is_symlink() else error.strerror
        raise UserError(f"{path} cannot be read ({reason})") from None


def describe_discs(scan, levels, world, confidence):
    """Return the discs of a scan as its sidecar lists them.

    Parameters
    ----------
    scan : utils.scans.nifti.Scan
    levels : (N,) int array
    world : (N, 3) array
        In mm.
    confidence : (N,) sequence of float
        NaN, written as null, for a disc that a reviewer placed.

    Returns
    -------
    list of dict
        Level, name, confidence, voxel (a place beyond the edge is put on the edge), and world mm.
    """
    voxels = scan.to_voxel_inside(world)
    return [
        {
            "level": int(level), "name": name(level), "confidence": round(float(value), 4),
            "voxel": [round(float(v), 2) for v in voxel], "world_mm": [round(float(w), 2) for w in place],
        }
        for level, value, voxel, place in zip(levels, confidence, voxels, world, strict=True)
    ]  # fmt: skip


def source_of(sidecar):
    """Return the path of the scan as seen from its sidecar, a dict; older versions have it in ``Sources``."""
    return sidecar["Image"] if "Image" in sidecar else sidecar["Sources"][0]


@dataclass
class Job:
    """A scan to label.

    Attributes
    ----------
    image : Path
    stem : Path
        Of its outputs, without their endings.
    uri : str, optional
        BIDS URI of the scan, where the outputs are a BIDS derivative.
    """

    image: Path
    stem: Path
    uri: str | None = None

    @property
    def labels(self):
        """Path of the label volume."""
        return self.stem.with_name(f"{self.stem.name}_label-discs_dlabel.nii.gz")

    @property
    def sidecar(self):
        """Path of the JSON file that describes the labels, as BIDS has it."""
        return self.stem.with_name(f"{self.stem.name}_label-discs_dlabel.json")

    @property
    def picture(self):
        """Path of the picture."""
        return self.stem.with_name(f"{self.stem.name}_discs.png")

    @property
    def source(self):
        """Path of the scan as seen from the sidecar, so that both can move together, however it was typed."""
        # What the scan itself may be a link to, as in git-annex, is not its place.
        image = self.image.parent.resolve() / self.image.name
        return Path(os.path.relpath(image, self.stem.parent.resolve())).as_posix()

    def review(self):
        """Return what the sidecar says of a review, as a dict; None where there was none."""
        try:
            review = json.loads(self.sidecar.read_text())["Review"]
            return review if review["Status"] in REVIEWED else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def check_free(self, reviewed=False):
        """Check that no labels are replaced except this tool's own, of this scan, that nobody reviewed or changed.

        Parameters
        ----------
        reviewed : bool
            Whether labels that were corrected or accepted in the QC report may be replaced.

        Returns
        -------
        list of str
            The digest of the label volume that is there, if there is one.

        Raises
        ------
        UserError
            If what is there is not to be replaced.
        """
        # Not Path.exists, which raises for a name that is too long; writing to it says so in a sentence. A link without
        # its content, as in a fresh clone of git-annex, is there as well.
        labels, sidecar, picture = map(os.path.lexists, (self.labels, self.sidecar, self.picture))
        held = [digest(_bytes_of(self.labels))] if labels else []
        if not held and not sidecar:
            if picture:
                raise UserError(f"{self.picture} was not written by this tool, and is left as it is: move it")
            return []
        try:
            content = json.loads(self.sidecar.read_text())
            ours = content["GeneratedBy"][0]["Name"] == TOOL and set(held) <= set(content["LabelDigests"])
            source = source_of(content)
        except (OSError, ValueError, LookupError, TypeError):
            ours = False
        if not ours:
            raise UserError(
                f"{self.labels} was not written by this tool, or was changed since, and is left as it is: move it, or "
                "give another --out"
            )
        if not reviewed and self.review():
            names = ", ".join(path.name for path in (self.labels, self.sidecar, self.picture))
            again = f"restore it, or remove {names} to label the scan again"
            if not held:
                raise UserError(f"{self.labels}, which was reviewed, is missing: {again}")
            if content.get("ImageDigest") != image_digest(self.image):
                raise UserError(f"{self.image} has changed since its labels were reviewed: {again}")
            raise UserError(f"{self.labels} was reviewed, and is left as it is")
        if source != self.source and content.get("ImageDigest") != image_digest(self.image):
            raise UserError(f"{self.labels} is of another scan ({source}), and is left as it is: give another --out")
        return held
