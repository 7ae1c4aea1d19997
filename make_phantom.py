"""Make synthetic subjects: T1w and T2w volumes with disc labels, laid out exactly like spine-generic.

Anatomy, posture, field of view, voxel size, orientation, tilt of the box, shading and noise vary from
subject to subject. Every other script runs on them unchanged.
"""

from pathlib import Path

from utils.system.flags import natural_number, new_parser, output_folder, whole_number


def build_parser():
    """Return the parser of the command line."""
    parser = new_parser(__doc__, "python make_phantom.py --subjects 40 --out output/phantoms --jobs 2")
    subjects = parser.add_argument_group("subjects")
    subjects.add_argument(
        "--subjects", type=natural_number, default=40, help="how many to generate, with two scans each"
    )
    subjects.add_argument("--seed", type=whole_number, default=0, help="random seed")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=output_folder, required=True, help="root of the new tree")
    output.add_argument("--jobs", type=natural_number, default=1, help="processes")
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import contextlib
from functools import partial

import nibabel
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.volumes import choose_field_of_view, generate_volume
from utils.system.files import UserError, replace_file, run, save_json, save_table
from utils.system.pool import processes
from utils.system.progress import progress

NAME = "Synthetic spines, laid out like spine-generic"
CONTRASTS = ("T1w", "T2w")
# Sagittal acquisitions come in many orders of axes; the first is the commonest.
ORIENTATIONS = ("RAS", "LAS", "PSR", "RPI", "ASL", "LPI")
COLUMNS = ("participant_id", "sex", "age", "height", "weight", "institution_id", "pathology")


def voxel_size(rng, contrast):
    """Choose a voxel size in mm, left-right first: isotropic as a rule, thick sagittal slices sometimes."""
    inside = {"T1w": 1.0, "T2w": 0.8}[contrast]
    thick = rng.random() < 0.25
    return (rng.uniform(2.5, 4.0) if thick else inside, inside, inside)


def save_volume(path, data, affine, orientation):
    """Save an array (X, Y, Z) of axes right, front, head as NIfTI in another order of axes; equal bytes every time."""
    image = nibabel.Nifti1Image(data, affine)
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(orientation))
    image = image.as_reoriented(turn)
    image.header.set_xyzt_units("mm")
    with replace_file(path) as temporary:
        nibabel.save(image, temporary)


def make_subject(index, out, seed):
    """Make one subject's scans and labels.

    Parameters
    ----------
    index : int
        From 1.
    out : path-like
    seed : int

    Returns
    -------
    dict
        The subject's row of participants.tsv.
    """
    rng = np.random.default_rng([seed, index])
    subject = f"sub-phantom{index:03d}"
    anatomy = generate_anatomy(rng)
    field = choose_field_of_view(rng, anatomy)
    for contrast in CONTRASTS:
        seen = field[0] + rng.normal(0, 4), field[1] + rng.normal(0, 4)
        turn = rng.uniform(-15, 15, 3) * (0.5, 0.3, 0.3) if rng.random() < 0.4 else rng.uniform(-2, 2, 3)
        volume = generate_volume(rng, anatomy, contrast, seen, voxel_size(rng, contrast), turn)
        orientation = rng.choice(ORIENTATIONS, p=[0.5, 0.1, 0.1, 0.1, 0.1, 0.1])
        labels = np.zeros(volume.data.shape, np.uint8)
        labels[tuple(volume.voxels.T)] = volume.levels
        image = Path(out) / subject / "anat" / f"{subject}_{contrast}.nii.gz"
        label = (
            Path(out) / "derivatives" / "labels" / subject / "anat" / f"{subject}_{contrast}_label-discs_dlabel.nii.gz"
        )
        save_volume(image, np.round(volume.data).astype(np.int16), volume.affine, orientation)
        save_volume(label, labels, volume.affine, orientation)
    length = np.linalg.norm(np.diff(anatomy.points[1:], axis=0), axis=1).sum()
    height = round(float(length / 0.36 / 10))  # the spine from C1 to S1 is about 36 % of a subject's height
    return {
        "participant_id": subject, "sex": rng.choice(["F", "M"]), "age": rng.integers(19, 57), "height": height,
        "weight": round(float(rng.normal(22.5, 2.5) * (height / 100) ** 2)), "institution_id": "phantom",
        "pathology": "HC",
    }  # fmt: skip


def main(argv=None):
    """Make subjects, as the flags say."""
    args = build_parser().parse_args(argv)
    if args.out.exists() and any(args.out.iterdir()):
        begun = any(args.out.glob("sub-phantom*")) and not (args.out / "dataset_description.json").exists()
        state = "holds what an interrupted run left: remove it, or" if begun else "is not empty:"
        raise UserError(f"{args.out} {state} give a new folder with --out")
    make = partial(make_subject, out=args.out, seed=args.seed)
    numbers = range(1, args.subjects + 1)
    with processes(args.jobs) if args.jobs > 1 else contextlib.nullcontext() as pool:
        rows = list(progress((pool.map if pool else map)(make, numbers), args.subjects, "subject"))
    save_table(args.out / "participants.tsv", [COLUMNS, *(list(row.values()) for row in rows)], "\t")
    save_json(args.out / "dataset_description.json", {"Name": NAME, "BIDSVersion": "1.8.0", "DatasetType": "raw"})
    print(f"{args.subjects} subjects, {2 * args.subjects} scans with labels, in {args.out}")


if __name__ == "__main__":
    run(main)
