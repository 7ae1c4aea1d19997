"""Transitional vertebrae: which synthetic spines get the flag, and what becomes of their levels.

Spines with four, five or six lumbar vertebrae, and with a first sacral vertebra that is partly lumbarised, in views of
the whole spine and of its lumbar part. Levels are counted up from the sacrum, whose disc is L5-S1. A wrong scan is
confident if it has no flag and a level confidence of 0.8 or more.
"""

from pathlib import Path

from utils.inference.shipped import SHIPPED
from utils.system.flags import natural_number, new_parser


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python -m studies.transitional --subjects 20", "python -m studies.transitional")
    data = parser.add_argument_group("input")
    data.add_argument("--weights", type=Path, help="a run's folder, or a checkpoint file (default: those shipped)")
    data.add_argument("--subjects", type=natural_number, default=20, help="subjects of each kind, with a scan per view")
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import numpy as np
from nibabel.affines import apply_affine

from studies.synthetic import label_synthetic
from utils.discs import LAST
from utils.evaluation.cases import NEAR_MM
from utils.evaluation.metrics import CONFIDENT
from utils.evaluation.tables import markdown, share
from utils.inference.doubts import doubts_of
from utils.inference.labeller import load_labeller
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.volumes import generate_volume
from utils.system.files import run

FLAG = "transitional vertebra?"
# Lumbar vertebrae, and the height of the disc S1-S2 relative to a whole one.
KINDS = {
    "5 lumbar vertebrae": (5, (0.0, 0.4)),
    "5, S1 partly lumbarised": (5, (0.6, 1.0)),
    "4 lumbar vertebrae": (4, (0.0, 0.4)),
    "6 lumbar vertebrae": (6, (0.0, 0.4)),
}
VIEWS = ("lumbar", "whole spine")
HEAD = ["spines", "view", "N", "flagged %", "L5-S1 right %", "wrong and confident %"]
LUMBAR_MM = 300.0
BELOW_MM = 60.0  # what a view shows of the sacrum
ABOVE_MM = 40.0  # and above C1-C2


def view_of(view, anatomy):
    """Return what a view covers, (top, bottom) in mm of the anatomy."""
    bottom = anatomy.points[LAST, 0] + BELOW_MM
    return (bottom - LUMBAR_MM if view == "lumbar" else anatomy.points[2, 0] - ABOVE_MM), bottom


def label_and_judge(labeller, volume):
    """Label a volume; returns the prediction, and whether its L5-S1 is the disc above the sacrum."""
    found, world = label_synthetic(labeller, volume)
    sacral = apply_affine(volume.affine, volume.voxels[list(volume.levels).index(LAST)])
    return found, LAST in world and np.linalg.norm((world[LAST] - sacral)[1:]) <= NEAR_MM


def row_of(kind, view, labelled):
    """Return the row of the table of a kind of spines in a view, from what `label_and_judge` returned for each scan."""
    n = len(labelled)
    flagged = sum(FLAG in doubts_of(found) for found, _ in labelled)
    wrong = [found for found, right in labelled if not right]
    confident = sum(FLAG not in doubts_of(found) and found.level_confidence >= CONFIDENT for found in wrong)
    return [kind, view, n, share(flagged, n), share(n - len(wrong), n), share(confident, n)]


def main(argv=None):
    """Label and count, as the flags say."""
    args = build_parser().parse_args(argv)
    labeller, rows = load_labeller(args.weights or SHIPPED), []
    for kind, (lumbar, remnant) in KINDS.items():
        labelled = {view: [] for view in VIEWS}
        for seed in range(args.subjects):
            rng = np.random.default_rng([11, seed])
            anatomy = generate_anatomy(rng, lumbar, rng.uniform(*remnant))
            for view, contrast in zip(VIEWS, rng.permutation(["T1w", "T2w"]), strict=True):
                volume = generate_volume(rng, anatomy, contrast, view_of(view, anatomy), [3.0, 1.0, 1.0])
                if LAST in volume.levels:  # a curved spine may leave the volume
                    labelled[view].append(label_and_judge(labeller, volume))
        rows += [row_of(kind, view, scans) for view, scans in labelled.items()]
    print(markdown(HEAD, rows))


if __name__ == "__main__":
    run(main)
