"""Non-spine images: how many discs are found, and with what confidence, where there is no spine as it should be.

Scans of the train and val splits mirrored, rotated, cut axially, replaced by noise or blank, beside the scans as they
are.
"""

from pathlib import Path

from utils.inference.shipped import SHIPPED
from utils.system.flags import new_parser


def build_parser():
    """Return the parser of the command line."""
    example = "python -m studies.non_spine --data TREE --split-file split.json"
    parser = new_parser(__doc__, example, "python -m studies.non_spine")
    data = parser.add_argument_group("input")
    data.add_argument("--data", type=Path, required=True, help="a tree laid out like spine-generic")
    data.add_argument("--split-file", type=Path, required=True, help="its split; scans of train and val are taken")
    data.add_argument("--weights", type=Path, help="a run's folder, or a checkpoint file (default: those shipped)")
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import nibabel
import numpy as np
from skimage.transform import resize

from utils.evaluation.tables import markdown, share
from utils.inference.labeller import load_labeller
from utils.scans.bids import find_scans
from utils.scans.nifti import ScanError, read_scan
from utils.scans.sagittal import normalise, slabs_of
from utils.scans.splits import match_split, read_split_file
from utils.system.files import UserError, run, warn
from utils.system.numbers import number

CONFIDENT = 0.9


def axial(scan, count):
    """Return axial slices (count, H, W) of a scan, in 0..1, with pixels of a millimetre, or less in a narrow scan."""
    # In the file, any of its axes may run from inferior to superior.
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(scan.data, scan.affine))
    data, sizes = image.get_fdata(), np.linalg.norm(image.affine[:3, :3], axis=0)
    size = [max(64, round(n * mm)) for n, mm in zip(data.shape[:2], sizes, strict=False)]
    places = np.linspace(0.3, 0.7, count) * (data.shape[2] - 1)
    return np.stack([normalise(resize(data[:, :, int(place)], size)) for place in places])


def images_of(scan, slabs, rng):
    """Return {kind: images (S, H, W)} made of a scan and its slabs."""
    return {
        "as they are": slabs, "mirrored head to foot": slabs[:, ::-1], "mirrored front to back": slabs[:, :, ::-1],
        "rotated by 180 degrees": slabs[:, ::-1, ::-1],
        "axial": axial(scan, len(slabs)), "noise": rng.rayleigh(0.2, slabs.shape), "blank": np.zeros_like(slabs),
    }  # fmt: skip


def row_of(kind, predictions):
    """Return the row of the table of a kind of images."""
    n, confidence = len(predictions), np.concatenate([one.confidence for one in predictions])
    empty = sum(len(one.levels) == 0 for one in predictions)
    highest = number(confidence.max()) if len(confidence) else "-"
    confident = share((confidence >= CONFIDENT).sum(), len(confidence))
    return [kind, share(empty, n), f"{len(confidence) / n:.1f}", confident, highest]


def main(argv=None):
    """Label and count, as the flags say."""
    args = build_parser().parse_args(argv)
    files = find_scans(args.data)
    split_of, _ = match_split(read_split_file(args.split_file), {f.subject for f in files}, args.split_file)
    files = [f for f in files if split_of.get(f.subject) in ("train", "val")]
    if not files:
        raise UserError(f"{args.data} has no scan of the train and val subjects of {args.split_file}")
    labeller, rng, found = load_labeller(args.weights or SHIPPED), np.random.default_rng(0), {}
    for file in files:
        try:
            scan = read_scan(file.image)
        except ScanError as error:
            warn(f"{file.name} is skipped: {error}")
            continue
        slabs, offsets, _ = slabs_of(scan, labeller.resolution)
        for kind, images in images_of(scan, slabs, rng).items():
            found.setdefault(kind, []).append(labeller.label(np.ascontiguousarray(images, np.float32), offsets))
    if not found:
        raise UserError(f"no scan of the train and val subjects of {args.split_file} can be read: see the warnings")
    head = ["images", "without any disc %", "discs per scan", f"confidence {CONFIDENT} or more, % of discs"]
    print(markdown([*head, "highest confidence"], [row_of(kind, predictions) for kind, predictions in found.items()]))


if __name__ == "__main__":
    run(main)
