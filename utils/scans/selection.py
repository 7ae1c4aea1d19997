"""Which scans of a tree are prepared, which are left out, and why."""

from utils.scans.bids import list_folder, match_participants, participants
from utils.scans.names import match_names, read_names
from utils.system.files import UserError, warn


def check_tree(tree):
    """Refuse what is not the root of a tree.

    Raises
    ------
    UserError
        If it is no folder, or that of a single subject.
    """
    if not tree.is_dir():
        raise UserError(f"{tree} is no folder: give the root of the data set with --data")
    if tree.resolve().name.startswith("sub-") and not any(path.is_dir() for path in list_folder(tree, "sub-")):
        raise UserError(f"{tree} is the folder of a single subject: give the folder above it with --data")


def records_of(tree, subjects):
    """Return {subject: its row of participants.tsv}, and warn about subjects that have none.

    Parameters
    ----------
    tree : Path
    subjects : collection of str
    """
    table = participants(tree)
    records, unmatched = match_participants(table, subjects)
    lacking = sorted(set(subjects) - set(records))
    if table and lacking:
        others = f", and {len(unmatched)} of its rows match no subject (such as {unmatched[0]})" if unmatched else ""
        warn(
            f"{tree / 'participants.tsv'} has no row for {len(lacking)} of {len(subjects)} subjects (such as "
            f"{lacking[0]}){others}: their source, and whether two of them are the same participant, are not known"
        )
    return records


def excluded_by(path, scans):
    """Apply a list of subjects and scans to exclude.

    Parameters
    ----------
    path : Path
        Of the list.
    scans : list of utils.scans.bids.ScanFile

    Returns
    -------
    excluded : set of str
        Subjects and names of scans.
    unmatched : list of str
        Entries that match none.

    Raises
    ------
    UserError
        If no entry matches.
    """
    meant = match_names(read_names(path), {name for scan in scans for name in (scan.subject, scan.name)})
    excluded = set(meant.values()) - {None}
    if scans and not excluded:
        raise UserError(f"{path} matches no subject and no scan: write one per line, such as {scans[0].name}")
    return excluded, sorted(entry for entry, name in meant.items() if name is None)


def select(scans, chosen, excluded, folders, only_corrected):
    """Divide scans into those to prepare and the others.

    Parameters
    ----------
    scans : list of utils.scans.bids.ScanFile
    chosen : dict or None
        Subject to split, from a split file.
    excluded : set of str
        Subjects and names of scans.
    folders : str
        Where labels were searched, for the reason.
    only_corrected : bool
        Whether a reviewer must have corrected or accepted the labels.

    Returns
    -------
    todo : list of ScanFile
    skipped : list of (ScanFile, str)
        With the reason.
    """
    todo, skipped = [], []
    for scan in scans:
        if scan.subject in excluded or scan.name in excluded:
            skipped.append((scan, "excluded by the list"))
        elif chosen is not None and scan.subject not in chosen:
            skipped.append((scan, "its subject is not named in the split file"))
        elif scan.label is None:
            skipped.append((scan, f"it has no disc labels under {folders}"))
        elif reason := _unusable(scan, only_corrected):
            skipped.append((scan, reason))
        else:
            todo.append(scan)
    return todo, skipped


def _unusable(scan, only_corrected):
    """Return why the labels of a scan are not used, by what their sidecar says; None where nothing is in the way."""
    try:
        reviewed = scan.reviewed
    except UserError as error:
        return f"labels: {error}"
    return "no reviewer corrected its labels or set them to good" if only_corrected and not reviewed else None


def apart(scans, name="name"):
    """Return the first scan of each name, and the others: two would be one file, and one scan counted twice.

    Parameters
    ----------
    scans : list
    name : str
        Attribute that holds the name.
    """
    first = {}
    for scan in scans:
        first.setdefault(getattr(scan, name), scan)
    kept = list(first.values())
    return kept, [scan for scan in scans if first[getattr(scan, name)] is not scan]
