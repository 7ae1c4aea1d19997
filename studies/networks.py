"""Networks side by side: equal small trainings of each with several seeds, with and without the search."""

from pathlib import Path

from studies.flags import add_training_flags
from utils.system.flags import new_parser


def build_parser():
    """Return the parser of the command line."""
    example = "python -m studies.networks --data dataset/NAME --out output/networks -- --epochs 25 --features 32"
    parser = new_parser(__doc__, example, "python -m studies.networks")
    data = parser.add_argument_group("input")
    data.add_argument("--data", type=Path, required=True, help="a prepared data set")
    data.add_argument("--seeds", type=int, default=3, help="trainings of each network")
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
from utils.scans.prepared import load_split
from utils.system.files import UserError, run, save_text
from utils.system.numbers import number

NETWORKS = {
    "hourglass with attention, 2 stacks": ["--model", "hourglass_attention", "--stacks", "2"],
    "hourglass, 2 stacks": ["--model", "hourglass", "--stacks", "2"],
    "hourglass with attention, 1 stack": ["--model", "hourglass_attention", "--stacks", "1"],
    "U-Net": ["--model", "unet"],
    "BCDU-Net": ["--model", "bcdunet"],
}
SCORES = ("identified % (SD over seeds)", "FP %", "DTT mean, mm")


def main(argv=None):
    """Train and compare, as the flags say."""
    args = build_parser().parse_args(argv)
    if args.seeds < 1:
        raise UserError(f"--seeds {args.seeds}: give 1 or more")
    rows = []
    for label, shape in NETWORKS.items():
        scores = {True: [], False: []}  # with and without the search
        for seed in range(args.seeds):
            out = args.out / f"{label.replace(' ', '_').replace(',', '')}_{seed}"
            labeller = trained(args.data, out, [*shape, "--seed", str(seed), *args.flags])
            for searching, cases in cases_of(labeller, args.data).items():
                scores[searching].append(score(cases, list(labeller.levels), "labelled", labeller.resolution))
        size = sum(parameter.numel() for parameter in labeller.network.parameters()) / 1e6
        n = f"{scores[True][0]['n_true']} discs x {args.seeds}"
        rows.append([label, f"{size:.2f} M", n, *cells(scores[True]), *cells(scores[False])])
        head = ["", "parameters", "N", *SCORES, *(f"{title}, no search" for title in SCORES)]
        save_text(args.out / "table.md", f"{markdown(head, rows)}\n")
    print(markdown(head, rows))


def cases_of(labeller, data):
    """Label the test split with and without the search; returns {searching: cases}."""
    cases = {True: [], False: []}
    for sample in load_split(data, "test"):
        heatmaps, _ = labeller.heatmaps(sample.slabs)
        for labeller.searching in cases:
            prediction = labeller.discs(heatmaps, sample.offsets, sample.image.shape)
            cases[labeller.searching].append(Case.of(sample, prediction))
    return cases


def cells(scores):
    """Return mean and SD over seeds of the share identified, and means of false positives and distance."""
    shares = 100 * np.array([s["identified"] for s in scores])
    spread = f" ({number(shares.std(ddof=1))})" if len(shares) > 1 else ""
    false, distance = (np.mean([s[key] for s in scores]) for key in ("fp_rate", "dtt_mean"))
    return [f"{number(shares.mean(), 1)}{spread}", number(100 * false, 1), number(distance)]


if __name__ == "__main__":
    run(main)
