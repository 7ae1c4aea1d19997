"""Which scans and disc labels a BIDS tree holds, under the names that spine-generic has used."""

import contextlib
import csv
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from utils.scans.names import match_names, stem_of
from utils.scans.nifti import not_fetched
from utils.scans.outputs import REVIEWED
from utils.system.files import UserError

# Spine-generic since 2025, spine-generic before, and the Spinal Cord Toolbox. Labels called desc-warp were carried
# over from another contrast by registration, not placed by hand: no ending fits them.
LABEL_ENDINGS = ("label-discs_dlabel", "labels-disc-manual", "labels-disc")
# Any entity may stand between subject and contrast, except those of phases and of what was made from a scan.
NO_SCAN = "part-(?:phase|real|imag)|desc-|label-|space-"
NAMES = re.compile(rf"(sub-[^_]+)(?:_(?!{NO_SCAN})[a-z]+-[^_]+)*_([A-Za-z0-9]+)\.nii(?:\.gz)?$")
MISSING = {"", "-", "n/a", "na", "nan", "none", "null"}  # no value, in any case of letters


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
        Where its disc labels are; None if there are none.
    """

    name: str
    subject: str
    contrast: str
    image: Path
    label: Path | None

    @property
    def sidecar(self):
        """The sidecar of the labels, a dict; empty where there is none that can be read.

        Raises
        ------
        UserError
            If it is a placeholder of git-annex or git-lfs.
        """
        if self.label is None:
            return {}
        path = self.label.with_name(f"{stem_of(self.label)}.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except PermissionError:  # as a rule of the labels beside it too, and reading them says so
            return {}
        except (OSError, ValueError, RecursionError):
            if reason := not_fetched(path):
                raise UserError(f"of its sidecar: {reason}") from None
            return {}
        return content if isinstance(content, dict) else {}

    @property
    def reviewed(self):
        """Whether the sidecar of the labels says that a reviewer corrected them or set them to good."""
        review = self.sidecar.get("Review")
        return isinstance(review, dict) and review.get("Status") in REVIEWED


def is_label_volume(path):
    """Return whether a file is named as disc labels are."""
    return stem_of(path).endswith(LABEL_ENDINGS)


def find_scans(root, contrasts=("T1w", "T2w"), labels=()):
    """List the images of a tree, in the order of their names.

    Only ``root/sub-*/[ses-*/]anat`` is searched: neither ``sourcedata`` beside it, which holds the same scans before
    preprocessing, nor derivatives. A link whose target is missing counts as a file; a folder that may not be read is
    reported on stderr. `utils.scans.ignored` lists what is not taken.

    Parameters
    ----------
    root : path-like
    contrasts : sequence of str
    labels : sequence of path-like
        Derivatives folders with labels, ``root/derivatives/labels`` by default; for each scan the first one that has
        labels of it counts.

    Returns
    -------
    list of ScanFile
    """
    root = Path(root)
    folders = label_folders(root, labels)
    found = []
    for subject in list_folder(root, "sub-"):
        for folder in (subject, *list_folder(subject, "ses-")):
            for image in list_folder(folder / "anat", "sub-"):
                parts = NAMES.match(image.name)
                if parts and parts[2] in contrasts:
                    label = _label_of(folders, image.parent.relative_to(root), stem_of(image))
                    found.append(ScanFile(stem_of(image), parts[1], parts[2], image, label))
    return sorted(found, key=lambda scan: (scan.name, str(scan.image)))


def label_folders(root, labels=()):
    """Return the derivatives folders with labels: those given, or ``derivatives/labels`` of the tree."""
    return [Path(folder) for folder in labels] or [Path(root) / "derivatives" / "labels"]


def list_folder(folder, beginning):
    """Return the entries of a folder whose names begin so; nothing where there is no such folder."""
    try:
        return [path for path in folder.iterdir() if path.name.startswith(beginning)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        print(f"warning: {folder} cannot be read ({error.strerror}) and is left out", file=sys.stderr)
        return []


def _label_of(folders, place, name):
    """Return the disc labels of an image, or None; a placeholder of git-annex, or what may not be read, counts."""
    for folder in folders:
        for ending in LABEL_ENDINGS:
            for suffix in (".nii.gz", ".nii"):
                label = folder / place / f"{name}_{ending}{suffix}"
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    with contextlib.suppress(PermissionError):  # reading it says so
                        label.lstat()
                    return label
    return None


def participants(root):
    """Read ``participants.tsv``.

    Returns
    -------
    dict
        Identifier, as the table writes it, to a dict of texts by column, without missing values such as ``n/a``.
        Empty where there is no such table, or one that cannot be read, which is reported on stderr.
    """
    path = Path(root) / "participants.tsv"
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as table:
            reader = csv.DictReader(table, delimiter="\t", restval="")
            rows = [_values(row) for row in reader]
            records = {row["participant_id"]: row for row in rows if "participant_id" in row}
            reason = None if records else "it has no rows with a participant_id"
    except FileNotFoundError:
        if not path.is_symlink():
            return {}
        records, reason = {}, "it is a link to nothing: fetch its content first"
    except (OSError, csv.Error) as error:
        records, reason = {}, getattr(error, "strerror", None) or error
    if reason:
        print(f"warning: {path} is not used ({reason}): sources, and subjects scanned twice, are not known",
              file=sys.stderr)  # fmt: skip
    return records


def _values(row):
    """Return the cells of a row that hold a value."""
    cells = {column: cell.strip() for column, cell in row.items() if column and isinstance(cell, str)}
    return {column: cell for column, cell in cells.items() if cell.casefold() not in MISSING}


def match_participants(records, subjects):
    """Find the row of each subject, also where the table leaves ``sub-`` out or writes it in another case.

    Parameters
    ----------
    records : dict
        As `participants` returns it.
    subjects : collection of str

    Returns
    -------
    matched : dict
        Subject to its row; subjects without a row, or with several that may be meant, are missing.
    unmatched : list of str
        Identifiers that mean no subject.
    """
    meant = match_names(records, subjects)
    matched = {subject: records[subject] for subject in subjects if subject in records}
    for subject in sorted(set(subjects) - set(matched)):
        rows = [identifier for identifier, other in meant.items() if other == subject]
        if len(rows) == 1:
            matched[subject] = records[rows[0]]
    taken = {id(row) for row in matched.values()}
    return matched, sorted(identifier for identifier, row in records.items() if id(row) not in taken)
