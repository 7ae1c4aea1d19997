"""Two evaluated runs side by side: their differences on the same subjects. Pure NumPy, so that it starts at once."""

from utils.evaluation.intervals import differences
from utils.evaluation.tables import comparison_table, read_discs_csv, scored_levels
from utils.system.files import UserError


def compare_runs(first, second):
    """Print how two runs differ on the same subjects, with 95 % intervals.

    Parameters
    ----------
    first, second : Path
        Folders of runs, or of evaluations.

    Raises
    ------
    UserError
        If one was not evaluated, or they were not scored on the same discs.
    """
    (one, discs, groups), (two, others, more) = read_discs_csv(first), read_discs_csv(second)
    scored = [levels for run in (first, second) if (levels := scored_levels(run)) is not None]
    if discs != others or scored[1:] != scored[:-1]:
        raise UserError(
            f"{first} and {second} cannot be compared: they were not scored on the same discs; evaluate both with "
            "the same --data, --split and --levels"
        )
    # Of one run for both, that with fewer: an earlier version knew subjects only, and not who is the same participant.
    groups = min(({**more, **groups}, {**groups, **more}), key=lambda every: len(set(every.values())))
    one, two = ([(groups[scan], *rest) for scan, *rest in rows] for rows in (one, two))
    print(comparison_table(str(first), str(second), differences(one, two)))
