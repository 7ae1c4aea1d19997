"""Which scans and disc labels a BIDS tree holds, under the names that spine-generic has used."""

import csv
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from utils.system.files import UserError

# Releases since 2025 have the first name, those before the second. Labels called desc-warp were carried
# over from another contrast by registration, not set by hand: they match neither.
LABEL_ENDINGS = ("label-discs_dlabel", "labels-disc-manual")
# Any entity may stand between subject and contrast, but for those of phases and of what was made from a scan.
NO_SCAN = "part-(?:phase|real|imag)|desc-|label-|space-"
NAMES = re.compile(rf"(sub-[^_]+)(?:_(?!{NO_SCAN})[a-z]+-[^_]+)*_([A-Za-z0-9]+)\.nii(?:\.gz)?$")


@dataclass
class ScanFile:
    """An image of a tree.

    Attributes
    ----------
    name : str
        File name without its ending, such as ``sub-01_ses-1_acq-sag_T2w``.
    subject : str
        ``sub-01``.
    contrast : str
    image : Path
    label : Path or None
        Where its disc labels are; None if the tree has none.
    """

    name: str
    subject: str
    contrast: str
    image: Path
    label: Path | None


def find_scans(root, contrasts=("T1w", "T2w")):
    """List the images of a tree, in the order of their names.

    Only ``root/sub-*/[ses-*/]anat`` is looked at: neither ``sourcedata`` beside it, which holds the same
    scans before preprocessing, nor derivatives. A link whose target is not there counts as a file; a folder
    that may not be read is told on stderr.

    Parameters
    ----------
    root : path-like
    contrasts : sequence of str

    Returns
    -------
    list of ScanFile
    """
    root = Path(root)
    found = []
    for subject in _inside(root, "sub-"):
        for folder in (subject, *_inside(subject, "ses-")):
            for image in _inside(folder / "anat", "sub-"):
                parts = NAMES.match(image.name)
                if parts and parts[2] in contrasts:
                    name = image.name.removesuffix(".gz").removesuffix(".nii")
                    found.append(ScanFile(name, parts[1], parts[2], image, _label_of(root, image, name)))
    return sorted(found, key=lambda scan: (scan.name, str(scan.image)))


def _inside(folder, beginning):
    """Return what a folder holds under names that begin so; nothing where there is no such folder."""
    try:
        return [path for path in folder.iterdir() if path.name.startswith(beginning)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        print(f"warning: {folder} cannot be read ({error.strerror}) and is left out", file=sys.stderr)
        return []


def _label_of(root, image, name):
    """Return the disc labels of an image, or None; a placeholder that git-annex left counts."""
    folder = root / "derivatives" / "labels" / image.parent.relative_to(root)
    for ending in LABEL_ENDINGS:
        for suffix in (".nii.gz", ".nii"):
            label = folder / f"{name}_{ending}{suffix}"
            if label.exists() or label.is_symlink():
                return label
    return None


def participants(root):
    """Read ``participants.tsv``.

    Returns
    -------
    dict
        Subject to a dict of texts by column; empty where there is no such table, or one that cannot be read, which
        is told on stderr.
    """
    path = Path(root) / "participants.tsv"
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as table:
            reader = csv.DictReader(table, delimiter="\t", restval="")
            people = {row["participant_id"]: row for row in reader if row.get("participant_id")}
            reason = None if people else "it names nobody under participant_id"
    except FileNotFoundError:
        return {}
    except (OSError, csv.Error) as error:
        people, reason = {}, getattr(error, "strerror", None) or error
    if reason:
        print(f"warning: {path} is not used ({reason}): sources, and subjects scanned twice, are not known",
              file=sys.stderr)  # fmt: skip
    return people


def read_names(path):
    """Return the subjects and images that a text file lists, one a line; # begins a comment."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"the list {path} cannot be read: give a text file with a subject or an image a line") from None
    words = (Path(line.split("#")[0].strip()).name for line in lines)
    return {word.removesuffix(".gz").removesuffix(".nii") for word in words if word}
