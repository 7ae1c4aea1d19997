"""Few-shot training: what a few labelled scans bring, from scratch and by joint training from `synthetic.pt`.

Those weights have seen no scan. Trains on the first subjects of a split, in a fixed random order, and prints the scores
of each number of subjects and the differences between both starts.
"""

from pathlib import Path

from studies.flags import add_training_flags
from utils.discs import LEVELS, parse_levels
from utils.inference.shipped import SHIPPED
from utils.system.flags import natural_number, new_parser


def build_parser():
    """Return the parser of the command line."""
    example = "python -m studies.few_shot --data TREE --split-file split.json --levels 21-25 --out output/few_shot"
    parser = new_parser(__doc__, example, "python -m studies.few_shot")
    data = parser.add_argument_group("input")
    data.add_argument("--data", type=Path, required=True, help="a tree laid out like spine-generic")
    data.add_argument("--split-file", type=Path, required=True, help="its split, by subject")
    data.add_argument("--sizes", type=natural_number, nargs="+", default=[5, 10, 29], help="subjects to train on")
    scores = parser.add_argument_group("scores")
    scores.add_argument("--levels", type=parse_levels, default=LEVELS, help="discs to score")
    add_training_flags(parser)
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import numpy as np

from studies.trainings import labelled, prepared, trained
from utils.evaluation.cases import compare
from utils.evaluation.intervals import differences
from utils.evaluation.scores import score
from utils.evaluation.tables import comparison_table, labelled_table
from utils.inference.checkpoint import load_checkpoint
from utils.scans.splits import SPLITS, read_split_file
from utils.system.files import UserError, run, save_json, save_text

SYNTHETIC = SHIPPED.with_name("synthetic.pt")


def starts_of(levels):
    """Return {start: (its flags of train.py, levels to train on)}.

    Both networks have the same shape, and see about as many images. From scratch is trained at the default rate, and
    only on the levels that are scored: the heatmaps of levels that no scan shows would be left to chance.
    """
    shape = load_checkpoint(SYNTHETIC)["model"]
    same = [flag for key in ("stacks", "features") for flag in (f"--{key}", str(shape[key]))]
    return {
        "scratch": ([*same, "--epochs", "30"], levels),
        SYNTHETIC.name: (["--init", str(SYNTHETIC), "--synthetic", "300", "--epochs", "2", "--lr", "3e-4"], LEVELS),
    }


def read_split(path, largest):
    """Return {split: its subjects}, as a split file has them in each.

    Raises
    ------
    UserError
        If a split is empty, or that to train on has fewer than ``largest`` subjects.
    """
    split_of = read_split_file(path)
    subjects = {split: [subject for subject, own in split_of.items() if own == split] for split in SPLITS}
    for split in SPLITS:
        if not subjects[split]:
            raise UserError(f"{path} has no subjects under {split!r}: add some")
    if largest > len(subjects["train"]):
        raise UserError(f"--sizes {largest}: {path} has {len(subjects['train'])} subjects to train on, so give no more")
    return subjects


def main(argv=None):
    """Train and compare, as the flags say."""
    args = build_parser().parse_args(argv)
    split = read_split(args.split_file, max(args.sizes))
    order = np.random.default_rng(0).permutation(split["train"]).tolist()
    starts = starts_of(args.levels)
    scores, discs = {}, {}
    for size in args.sizes:
        file = args.out / f"split{size}.json"
        save_json(file, {**split, "train": order[:size]})
        for start, (flags, levels) in starts.items():
            out = args.out / f"{start}{size}"
            data = prepared(args.data, out.with_name(f"{out.name}_data"), file, levels)
            labeller = trained([data], out, [*flags, *args.flags])
            cases = labelled(labeller, data)
            label = label_of(size, start)
            scores[label] = score(cases, list(args.levels), "labelled", labeller.resolution)
            rows = [row for case in cases for row in compare(case, args.levels)]
            discs[label] = [(row.case.group, row.outcome, row.error) for row in rows]
    save_text(args.out / "table.md", f"{labelled_table(scores)}\n")
    print(labelled_table(scores))
    for size in args.sizes:
        labels = [label_of(size, start) for start in starts]
        print(comparison_table(*labels, differences(*(discs[label] for label in labels))))


def label_of(size, start):
    """Return the label of a row."""
    return f"{size} subjects, from {start}"


if __name__ == "__main__":
    run(main)
