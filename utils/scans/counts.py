"""Counts of a prepared data set by split, contrast and level."""

from collections import Counter

from utils.scans.splits import SPLITS


def summarise(rows, levels):
    """Count subjects, scans and discs of each split.

    Parameters
    ----------
    rows : list of dict
        Of ``samples.tsv``.
    levels : sequence of int

    Returns
    -------
    dict
        Split to its counts.
    """
    splits = {}
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split]
        discs = Counter(level for row in chosen for level in row["levels"].split(","))
        splits[split] = {
            "subjects": len({row["subject"] for row in chosen}),
            "scans": len(chosen),
            "discs": sum(discs.values()),
            "by_contrast": dict(sorted(Counter(row["contrast"] for row in chosen).items())),
            "by_level": {str(level): discs[str(level)] for level in levels},
        }
    return splits


def counts_table(splits, contrasts):
    """Return the counts as a table in text, one row per split."""
    lines = [f"{'split':8}{'subjects':>9}{'scans':>7}{'discs':>7}" + "".join(f"{name:>7}" for name in contrasts)]
    for split, counts in splits.items():
        line = f"{split:8}{counts['subjects']:9}{counts['scans']:7}{counts['discs']:7}"
        lines.append(line + "".join(f"{counts['by_contrast'].get(name, 0):7}" for name in contrasts))
    return "\n".join(lines)
