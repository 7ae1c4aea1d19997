"""Networks and recipes side by side: trainings of each with several seeds, scored with and without the search.

All networks have about as many parameters (0.4 to 0.5 million), and by the default recipe all see as many images. With
--synthetic, 2 of the 3 images of a batch of the published recipe are synthetic, and 4 of the 8 of the default recipe.
Without it, an epoch has as many slices as the data, by the default recipe at least 160.
"""

from pathlib import Path

from studies.flags import add_training_flags
from utils.system.flags import natural_number, new_parser


def build_parser():
    """Return the parser of the command line."""
    example = "python -m studies.networks --data dataset/A dataset/B --out output/networks -- --synthetic --epochs 6"
    parser = new_parser(__doc__, example, "python -m studies.networks")
    data = parser.add_argument_group("input")
    data.add_argument("--data", type=Path, nargs="+", metavar="FOLDER", required=True, help="prepared data to train on")
    data.add_argument("--test", type=Path, nargs="+", metavar="FOLDER",
                      help="prepared data whose test splits are scored (default: those of --data)")  # fmt: skip
    data.add_argument("--seeds", type=natural_number, default=3, help="trainings of each network")
    add_training_flags(parser)
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import numpy as np

from studies.trainings import trained
from utils.evaluation.cases import Case
from utils.evaluation.scores import score
from utils.evaluation.tables import markdown
from utils.scans.prepared import load_split, load_summary
from utils.system.files import run, save_text
from utils.system.numbers import number
from utils.training.data import check_resolution

# Each with the width that gives it 0.4 to 0.5 million parameters.
TWO_STACKS = ["--model", "hourglass_attention", "--stacks", "2", "--features", "64"]
NETWORKS = {
    "hourglass with attention, 2 stacks": TWO_STACKS,
    "hourglass, 2 stacks": ["--model", "hourglass", "--stacks", "2", "--features", "64"],
    "hourglass with attention, 1 stack": ["--model", "hourglass_attention", "--stacks", "1", "--features", "88"],
    "U-Net": ["--model", "unet", "--features", "32"],
    "BCDU-Net": ["--model", "bcdunet", "--features", "16"],
    "hourglass with attention, 2 stacks, published recipe": [*TWO_STACKS, "--recipe", "published"],
}
SCORES = ("identified % (SD over seeds)", "FP %", "DTT mean, mm")
HEAD = ["", "parameters", "seeds", *SCORES, *(f"{title}, no search" for title in SCORES)]


def main(argv=None):
    """Train and compare, as the flags say; the table is written anew after each training."""
    args = build_parser().parse_args(argv)
    tests = args.test or args.data
    for test in tests:
        # Before hours of training: an empty split, and pixels of another size, are refused.
        load_split(test, "test")
        check_resolution(test, load_summary(args.data[0])["resolution"])
    scores, sizes = {}, {}  # by test set, network, and whether it searches: one for each seed
    for seed in range(args.seeds):  # outside, so that an interrupted comparison has some of every network
        for label, flags in NETWORKS.items():
            out = args.out / f"{label.replace(' ', '_').replace(',', '')}_{seed}"
            labeller = trained(args.data, out, [*flags, "--seed", str(seed), *args.flags])
            sizes[label] = sum(parameter.numel() for parameter in labeller.network.parameters()) / 1e6
            for test in tests:
                for searching, cases in cases_of(labeller, test).items():
                    own = score(cases, list(labeller.levels), "labelled", labeller.resolution)
                    scores.setdefault((test, label, searching), []).append(own)
            save_text(args.out / "table.md", tables_of(tests, scores, sizes))
    print(tables_of(tests, scores, sizes), end="")


def cases_of(labeller, data):
    """Label the test split with and without the search; returns {searching: cases}."""
    cases = {True: [], False: []}
    for sample in load_split(data, "test"):
        heatmaps, _ = labeller.heatmaps(sample.slabs)
        for labeller.searching in cases:
            prediction = labeller.discs(heatmaps, sample.offsets, sample.image.shape)
            cases[labeller.searching].append(Case.of(sample, prediction))
    return cases


def tables_of(tests, scores, sizes):
    """Return one table for each test set, under its name and number of discs.

    Parameters
    ----------
    tests : list of Path
    scores : dict
        (test set, network, whether it searches) to the scores of each seed.
    sizes : dict
        Network to its millions of parameters.
    """
    text = ""
    for test in tests:
        rows = []
        for label, size in sizes.items():
            own, plain = scores[test, label, True], scores[test, label, False]
            rows.append([label, f"{size:.2f} M", len(own), *cells(own), *cells(plain)])
        text += f"{test.name}, {own[0]['n_true']} discs\n\n{markdown(HEAD, rows)}\n\n"
    return text


def cells(scores):
    """Return mean and SD over seeds of the share identified, and means of false positives and distance."""
    shares = 100 * np.array([s["identified"] for s in scores])
    spread = f" ({number(shares.std(ddof=1))})" if len(shares) > 1 else ""
    false, distance = (np.mean([s[key] for s in scores]) for key in ("fp_rate", "dtt_mean"))
    return [f"{number(shares.mean(), 1)}{spread}", number(100 * false, 1), number(distance)]


if __name__ == "__main__":
    run(main)
