"""Training, validation and test split: by subject, where subjects that are the same participant stay together."""

import json

import numpy as np

from utils.scans.names import match_names
from utils.system.files import UserError

SPLITS = ("train", "val", "test")
GROUP_COLUMN = "same_person_group"  # of participants.tsv: equal for subjects that are the same participant


def read_split_file(path):
    """Read which subject belongs to which split.

    Parameters
    ----------
    path : Path
        JSON file {"train": [subjects], "val": [...], "test": [...]}.

    Returns
    -------
    dict
        Subject, as the file writes it, to split.

    Raises
    ------
    UserError
        If it is not such a file, or contains a subject twice.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        split_of = {}
        for split in SPLITS:
            subjects = content.get(split, [])
            if not isinstance(subjects, list):
                raise ValueError
            for subject in map(str, subjects):
                if subject in split_of:
                    raise UserError(f"{path} names {subject} twice: keep one of the two")
                split_of[subject] = split
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        raise UserError(f'{path} is no split: write JSON like {{"train": ["sub-01"], "val": [], "test": []}}') from None
    unknown = set(content) - set(SPLITS)
    if unknown:
        raise UserError(f"{path} has a split called {sorted(unknown)[0]!r}: name them train, val and test")
    return split_of


def match_split(split_of, subjects, path):
    """Apply a split file to the subjects of a tree, which it may write without ``sub-`` or in another case.

    Parameters
    ----------
    split_of : dict
        As `read_split_file` returns it.
    subjects : collection of str
    path : path-like
        Of the split file, for messages.

    Returns
    -------
    matched : dict
        Subject of the tree to split.
    unmatched : list of str
        Entries that mean no subject of the tree.

    Raises
    ------
    UserError
        If two entries mean one subject, or none means any.
    """
    meant, matched = match_names(split_of, subjects), {}
    for entry, subject in meant.items():
        if subject in matched:
            raise UserError(f"{path} names {subject} twice, once as {entry}: keep one of the two")
        if subject:
            matched[subject] = split_of[entry]
    if subjects and not matched:
        raise UserError(f"{path} names none of the subjects, such as {min(subjects)}, so no scan of it can be used")
    return matched, sorted(entry for entry, subject in meant.items() if not subject)


def participant_groups(records, subjects):
    """Group subjects that are the same participant by the column ``same_person_group`` of participants.tsv.

    A group may also be named after one of its subjects.

    Parameters
    ----------
    records : dict
        Subject to its row, as `utils.scans.bids.participants` returns it.
    subjects : iterable of str

    Returns
    -------
    dict
        Subject to the name of its group, which is the subject itself where nothing is known.
    """
    subjects, above = list(subjects), {}

    def top(name):
        while above.get(name, name) != name:
            name = above[name]
        return name

    stated = {subject: records.get(subject, {}).get(GROUP_COLUMN, subject) for subject in subjects}
    meant = match_names(stated.values(), subjects)
    for subject, group in stated.items():
        above[top(subject)] = top(meant[group] or group)
    return {subject: top(subject) for subject in subjects}


def check_together(groups, part_of, where):
    """Refuse a split, or folds of a cross-validation, that part subjects who are the same participant.

    Parameters
    ----------
    groups : dict
        Subject to group.
    part_of : dict
        Subject to split or fold; subjects that are missing are in none.
    where : str
        What is checked, for the message.

    Raises
    ------
    UserError
        If subjects of a group are in different parts.
    """
    first = {}
    for subject, group in groups.items():
        if subject not in part_of:
            continue
        other = first.setdefault(group, subject)
        if part_of[subject] != part_of[other]:
            raise UserError(
                f"{where} puts {other} into {part_of[other]} and {subject} into {part_of[subject]}, who are the same "
                f"participant by the column {GROUP_COLUMN} of participants.tsv: put both into one"
            )


def draw_split(groups, shares, seed):
    """Distribute subjects over the splits at random.

    Parameters
    ----------
    groups : dict
        Subject to a group whose subjects must stay together (one participant scanned under several names).
    shares : three floats
        Of the groups, for train, val and test.
    seed : int

    Returns
    -------
    dict
        Subject to split.
    """
    names = sorted(set(groups.values()))
    order = np.random.default_rng(seed).permutation(len(names))
    ends = np.round(np.cumsum(shares) / np.sum(shares) * len(names)).astype(int)
    if len(names) >= 3:  # no split is empty that has a share, if there are enough groups
        ends[0] = np.clip(ends[0], shares[0] > 0, len(names) - (shares[1] > 0) - (shares[2] > 0))
        ends[1] = np.clip(ends[1], ends[0] + (shares[1] > 0), len(names) - (shares[2] > 0))
    split_of = {
        names[index]: SPLITS[int(np.searchsorted(ends, place, side="right"))] for place, index in enumerate(order)
    }
    return {subject: split_of[group] for subject, group in groups.items()}
