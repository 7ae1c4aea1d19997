"""Cross-validation over subjects: train once per fold on the other folds, so that every disc is scored once.

Prints one table over all folds, and writes it to --out with the table of discs.
"""

from pathlib import Path

from studies.flags import add_training_flags
from utils.discs import LEVELS, parse_levels
from utils.system.flags import new_parser


def build_parser():
    """Return the parser of the command line."""
    example = "python -m studies.folds --data TREE --folds folds.json --out output/folds -- --init --epochs 10"
    parser = new_parser(__doc__, example, "python -m studies.folds")
    data = parser.add_argument_group("input")
    data.add_argument("--data", type=Path, required=True, help="a tree laid out like spine-generic")
    data.add_argument("--folds", type=Path, required=True, help="JSON file: a list of lists of subjects")
    data.add_argument("--learn", type=parse_levels, default=LEVELS, metavar="LEVELS", help="discs to train on")
    scores = parser.add_argument_group("scores")
    scores.add_argument("--levels", type=parse_levels, default=LEVELS, help="discs to score")
    scores.add_argument(
        "--by",
        default="contrast",
        metavar="COLUMN",
        help="group scans by contrast, source or a column of participants.tsv",
    )
    add_training_flags(parser)
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import itertools
import json
from collections import Counter

from studies.trainings import labelled, prepared, trained
from utils.evaluation.cases import compare
from utils.evaluation.scores import groups_of, score, scores_by
from utils.evaluation.tables import disc_rows, interval_line, labelled_table
from utils.scans.bids import find_scans
from utils.scans.prepared import load_split
from utils.scans.selection import records_of
from utils.scans.splits import SPLITS, check_together, match_split, participant_groups
from utils.system.files import UserError, run, save_json, save_table, save_text

VALIDATION = 3  # subjects


def read_folds(path):
    """Return the folds, a list of lists of subjects.

    Raises
    ------
    UserError
        If the file does not hold at least two of them, or names a subject twice.
    """
    try:
        folds = json.loads(path.read_text(encoding="utf-8-sig"))
        lists = isinstance(folds, list) and all(isinstance(fold, list) and fold for fold in folds)
        if not lists or len(folds) < 2 or not all(isinstance(subject, str) for fold in folds for subject in fold):
            raise ValueError
    except (OSError, ValueError, RecursionError):
        raise UserError(
            f'{path} holds no folds: write JSON with two or more lists of subjects, like [["sub-01"], ["sub-02"]]'
        ) from None
    ((subject, times),) = Counter(itertools.chain(*folds)).most_common(1)
    if times > 1:
        raise UserError(f"{path} names {subject} twice: keep one of the two")
    return folds


def split_of(folds, index, groups):
    """Return the split in which a fold is the test set.

    The last three subjects of the next fold, and those who are the same participants (the same in ``groups``), select
    the epoch and calibrate the confidence; all others are trained on.
    """
    test, following = folds[index], folds[(index + 1) % len(folds)]
    last = {groups.get(subject, subject) for subject in following[-VALIDATION:]}
    val = [subject for subject in following if groups.get(subject, subject) in last]
    return {"train": [s for fold in folds for s in fold if s not in [*test, *val]], "val": val, "test": test}


def main(argv=None):
    """Cross-validate, as the flags say; all folds are prepared and checked before the first training."""
    args = build_parser().parse_args(argv)
    folds = read_folds(args.folds)
    subjects = list(itertools.chain(*folds))
    # Refuses a subject that is written in two ways.
    match_split(dict.fromkeys(subjects), {scan.subject for scan in find_scans(args.data)}, args.folds)
    participants = participant_groups(records_of(args.data, subjects), subjects)
    check_together(participants, {s: f"fold {index}" for index, fold in enumerate(folds, 1) for s in fold}, args.folds)
    cases, groups, sets = [], {}, []
    for index in range(len(folds)):
        split, file = split_of(folds, index, participants), args.out / f"split{index}.json"
        if not split["train"]:
            raise UserError(f"{args.folds} leaves none to train on for fold {index + 1}: write larger folds, or more")
        save_json(file, split)
        data = prepared(args.data, args.out / f"data{index}", file, args.learn)
        samples = {part: load_split(data, part) for part in SPLITS}  # refuses an empty one
        groups.update(groups_of(data, samples["test"].without_pixels(), args.by))
        sets.append(data)
    for index, data in enumerate(sets):
        labeller = trained([data], args.out / f"fold{index}", args.flags)
        cases += labelled(labeller, data)
    levels, how = list(args.levels), ("labelled", labeller.resolution)
    scores = scores_by(cases, lambda case: groups[case.name], levels, *how)
    scores["all"] = score(cases, levels, *how)
    scores["all, every labelled level"] = score(cases, list(LEVELS), *how)
    table = labelled_table(scores)
    save_table(args.out / "discs.csv", disc_rows([row for case in cases for row in compare(case, levels)]))
    save_text(args.out / "table.md", f"{table}\n")
    save_json(args.out / "metrics.json", scores)
    print(table)
    print(interval_line(scores["all"]))


if __name__ == "__main__":
    run(main)
