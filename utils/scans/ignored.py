"""Files of a BIDS tree that are not used because of their name or place, so that none is left out without a word."""

import os
import re
from collections import Counter
from pathlib import Path

from utils.scans.bids import LABEL_ENDINGS, NAMES, NO_SCAN, label_folders, list_folder

NIFTI = re.compile(r"\.nii(\.gz)?$", re.I)
# Folders of BIDS for other kinds of data, which are not expected to be labelled.
OTHER_KINDS = {"dwi", "func", "fmap", "perf", "pet", "mrs", "eeg", "ieeg", "meg", "beh", "micr", "nirs", "motion"}
# Of what else lies in a label folder, such as segmentations, these may be meant as labels of discs.
LIKE_DISCS = re.compile(r"dis[ck]|dlabel|labels|levels", re.I)
SHOWN = 3


def ignored_images(root, contrasts, scans):
    """List the images of a tree whose name or place is not understood.

    Parameters
    ----------
    root : path-like
    contrasts : sequence of str
    scans : list of utils.scans.bids.ScanFile
        What was found with these contrasts.

    Returns
    -------
    list of (Path, str)
        Each file with the reason, in order.
    """
    used = {scan.image for scan in scans}
    subjects = list_folder(Path(root), "sub-")
    found = [(file, _why_no_image(file, subject, contrasts)) for subject in subjects for file in _volumes(subject)]
    return sorted((file, reason) for file, reason in found if reason and file not in used)


def ignored_labels(root, labels, scans):
    """List the volumes of label folders that may be labels of discs, but are not used.

    Parameters
    ----------
    root : path-like
    labels : sequence of path-like
        Folders, as for `utils.scans.bids.find_scans`.
    scans : list of utils.scans.bids.ScanFile

    Returns
    -------
    list of (Path, str)
        Each file with the reason, in order.
    """
    used, labelled = {scan.label for scan in scans}, {scan.name: False for scan in scans}
    labelled |= {scan.name: True for scan in scans if scan.label}
    files = [file for folder in label_folders(root, labels) for file in _volumes(folder) if file not in used]
    found = [(file, _why_no_label(file.name, labelled)) for file in files]
    return sorted((file, reason) for file, reason in found if reason)


def _volumes(folder):
    """Yield the NIfTI files below a folder of a subject or of labels."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in OTHER_KINDS]
        yield from (Path(place) / name for name in files if NIFTI.search(name))


def _why_no_image(path, subject, contrasts):
    """Return why a volume below a subject's folder is not taken as a scan; None for other contrasts."""
    place = path.parent.relative_to(subject).parts
    if place[-1:] != ("anat",) or len(place) > 2 or (len(place) == 2 and not place[0].startswith("ses-")):
        return "it does not lie in sub-X/anat or sub-X/ses-Y/anat"
    parts = NAMES.match(path.name)
    if parts and parts[2] not in contrasts:
        alike = next((contrast for contrast in contrasts if contrast.casefold() == parts[2].casefold()), None)
        # Whether name or flag is misspelt: this takes the scans, and no data need to be renamed.
        return f"its name ends in {parts[2]}, not in {alike}: add {parts[2]} to --contrasts" if alike else None
    made = re.search(rf"_(?:{NO_SCAN})[^_]*", path.name)
    if made:
        return f"{made[0].strip('_')} says that it was made from a scan, or is no magnitude image"
    return "its name is not sub-X[_ENTITY-VALUE...]_CONTRAST.nii.gz"


def _why_no_label(name, labelled):
    """Return why a volume in a label folder is not used; None if it is of something else than discs.

    ``labelled`` holds, by the names of the scans, whether labels of a scan were found.
    """
    for ending in LABEL_ENDINGS:
        scan, found, _ = name.partition(f"_{ending}.nii")
        if found and scan not in labelled:
            return "no image has the name of its scan"
        if found:
            misplaced = "it does not lie below the label folder as its scan does below the tree"
            return "another label volume of its scan is used" if labelled[scan] else misplaced
    if "_levels." in name:
        return "levels as TotalSpineSeg writes them lie in the middle of the spinal canal, not on the discs"
    if "desc-warp" in name:
        return "desc-warp says that it was carried over from another contrast"
    return f"its name does not end in {' or '.join(LABEL_ENDINGS)}" if LIKE_DISCS.search(name) else None


def ignored_summary(found, contrasts):
    """Return one sentence on ignored files, the commonest patterns first, and on the names that are read."""
    kinds = Counter((re.sub(r"(sub|ses)-[^_/]+", r"\1-*", path.name), reason) for path, reason in found)
    shown = "; ".join(f"{count} x {pattern} ({reason})" for (pattern, reason), count in kinds.most_common(SHOWN))
    more = f"; and {len(kinds) - SHOWN} more patterns" if len(kinds) > SHOWN else ""
    return (
        f"{len(found)} files are ignored: {shown}{more}. Names that are read: "
        f"sub-X/anat/sub-X[_ENTITY-VALUE...]_{contrasts[0]}.nii.gz, and for its labels "
        f"..._{contrasts[0]}_{LABEL_ENDINGS[0]}.nii.gz"
    )
