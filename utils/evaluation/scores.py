"""The scores of scans by a protocol, and of groups of scans."""

from utils.evaluation.cases import compare
from utils.evaluation.intervals import intervals
from utils.evaluation.metrics import id_verse, labelled_scores, level_scores, shifted_scans
from utils.evaluation.published import published_scores
from utils.evaluation.statistics import share
from utils.scans.bids import participants
from utils.scans.prepared import load_table
from utils.system.files import UserError

OF_SCANS = "contrast", "source"  # in samples.tsv, whose height and group are not those of a subject


def score(cases, levels, protocol, spacing):
    """Return the scores of scans.

    Parameters
    ----------
    cases : list of utils.evaluation.cases.Case
    levels : list of int
        The discs that are scored.
    protocol : str
        ``labelled``: by level; ``published``: as `utils.evaluation.published` does, which ignores levels.
    spacing : float
        Of a pixel in mm.

    Returns
    -------
    dict
    """
    if protocol == "published":
        return {
            **published_scores(cases, levels, spacing),
            "without_leak": published_scores(cases, levels, spacing, "known"),
            "all_predictions": published_scores(cases, levels, spacing, "all"),
        }
    rows = [row for case in cases for row in compare(case, levels)]
    counted = [(row.case.group, row.outcome, row.error) for row in rows if row.outcome != "unknown"]
    hits, total = id_verse(cases, levels)
    return {
        **labelled_scores(rows),
        "id_verse": share(hits, total),
        "id_verse_n": total,
        "n_subjects": len({subject for subject, *_ in counted}),
        "interval_95": intervals(counted),
        "shifted_scans": shifted_scans(cases, levels),
        **level_scores(rows),
    }


def scores_by(cases, group_of, levels, protocol, spacing):
    """Return {group: scores} in the order of the groups' names; ``group_of`` returns the group of a case."""
    groups = {}
    for case in cases:
        groups.setdefault(group_of(case), []).append(case)
    return {group: score(groups[group], levels, protocol, spacing) for group in sorted(groups)}


def groups_of(data, samples, column):
    """Return {name of a scan: its group} by its contrast or source, or by a column of participants.tsv.

    Raises
    ------
    UserError
        If there is no such column, or it is empty.
    """
    rows = {row["name"]: row for row in load_table(data)} if column in OF_SCANS else {}
    subjects = participants(data)
    groups = {s.name: rows.get(s.name, {}).get(column) or subjects.get(s.subject, {}).get(column) for s in samples}
    if not any(groups.values()):
        raise UserError(
            f"participants.tsv of {data} has no column {column!r} with values: give another one, contrast or source "
            "to --by"
        )
    return {scan: str(group or "not stated") for scan, group in groups.items()}
