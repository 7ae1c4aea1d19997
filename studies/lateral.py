"""Errors in space, left-right included, on synthetic subjects with scoliosis, off the centre of the volume."""

from pathlib import Path

from utils.system.flags import natural_number, new_parser


def build_parser():
    """Return the parser of the command line."""
    example = "python -m studies.lateral --weights weights/spine.pt --subjects 12"
    parser = new_parser(__doc__, example, "python -m studies.lateral")
    data = parser.add_argument_group("input")
    data.add_argument("--weights", type=Path, required=True, help="a run's folder, or a checkpoint file")
    data.add_argument("--subjects", type=natural_number, default=20, help="synthetic subjects, with two scans each")
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import itertools

import numpy as np
from nibabel.affines import apply_affine

from studies.synthetic import label_synthetic
from utils.evaluation.cases import NEAR_MM
from utils.evaluation.statistics import mean, sd
from utils.evaluation.tables import share
from utils.inference.labeller import load_labeller
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.canvas import PIXEL_MM
from utils.synthesis.volumes import choose_field_of_view, generate_volume
from utils.system.files import run
from utils.system.numbers import number

CURVED_MM = 12  # left-right, from end to end of the spine
OFF_CENTRE_MM = 15
VOXEL_MM = {"T1w": 1.0, "T2w": 0.8}


def curved_subjects():
    """Yield (random generator, anatomy) of synthetic subjects with a scoliosis, without end."""
    for seed in itertools.count():
        rng = np.random.default_rng([9, seed])
        anatomy = generate_anatomy(rng)
        curve = np.interp(anatomy.points[2:, 0], np.arange(len(anatomy.shift)) * PIXEL_MM, anatomy.shift)
        if np.ptp(curve) >= CURVED_MM:
            yield rng, anatomy


def errors_of(labeller, volume):
    """Label a volume; returns errors in space, in mm, of the levels that were found, and the number of true discs."""
    _, world = label_synthetic(labeller, volume)
    true = zip(volume.levels, apply_affine(volume.affine, volume.voxels), strict=True)
    errors = [np.linalg.norm(world[level] - place) for level, place in true if level in world]
    return errors, len(volume.levels)


def main(argv=None):
    """Score, as the flags say."""
    args = build_parser().parse_args(argv)
    labeller, errors, n_true = load_labeller(args.weights), [], 0
    for rng, anatomy in itertools.islice(curved_subjects(), args.subjects):
        for contrast, voxel in VOXEL_MM.items():
            field = choose_field_of_view(rng, anatomy)
            beside = rng.choice([-OFF_CENTRE_MM, OFF_CENTRE_MM])
            volume = generate_volume(rng, anatomy, contrast, field, [voxel] * 3, rng.uniform(-5, 5, 3), beside)
            own, count = errors_of(labeller, volume)
            errors, n_true = errors + own, n_true + count
    near = [error for error in errors if error <= NEAR_MM]
    print(
        f"found within {NEAR_MM:.0f} mm in space: {share(len(near), n_true)} %; "
        f"of those {number(mean(near))} ({number(sd(near))}) mm"
    )
    print(f"of all found at their own level: {number(mean(errors))} ({number(sd(errors))}) mm, N={len(errors)}")


if __name__ == "__main__":
    run(main)
