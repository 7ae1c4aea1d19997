"""The files of a labelled scan, and whose they are: nobody's labels are replaced by those of another."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from utils.system.files import UserError

TOOL = "disc-labels"


def digest(volume):
    """Return the SHA-256 of a label volume's bytes."""
    return hashlib.sha256(volume).hexdigest()


@dataclass
class Job:
    """A scan to label.

    Attributes
    ----------
    image : Path
    stem : Path
        Of its outputs, without their endings.
    """

    image: Path
    stem: Path

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

    def check_free(self):
        """See to it that no labels are replaced but this tool's own, of this scan, that nobody corrected.

        Returns
        -------
        list of str
            The digest of the label volume that is there, if there is one.

        Raises
        ------
        UserError
            If what is there is not to be replaced.
        """
        held = [digest(self.labels.read_bytes())] if self.labels.exists() else []
        if not held and not self.sidecar.exists():
            return []
        try:
            told = json.loads(self.sidecar.read_text())
            ours = told["GeneratedBy"][0]["Name"] == TOOL and set(held) <= set(told["LabelDigests"])
            (source,) = told["Sources"]
        except (OSError, ValueError, LookupError, TypeError):
            ours = False
        if not ours:
            raise UserError(
                f"{self.labels} was not written by this tool, or was changed since, and is left as it is: move it, or "
                "give another --out"
            )
        if source != self.source:
            raise UserError(f"{self.labels} is of another scan ({source}), and is left as it is: give another --out")
        return held
