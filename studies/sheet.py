"""Draw real and synthetic images side by side, one sheet per spine region, to find what synthetic spines lack."""

from pathlib import Path

from utils.discs import LEVELS, name
from utils.system.flags import natural_number, new_parser, seed_number


def build_parser():
    """Return the parser of the command line."""
    example = "python -m studies.sheet --data dataset/a dataset/b --out output/sheet"
    parser = new_parser(__doc__, example, "python -m studies.sheet")
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FOLDER", help="prepared data sets")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train", help="of all data sets")
    parser.add_argument("--images", type=natural_number, default=24, help="real images on a sheet, and synthetic ones")
    parser.add_argument("--anatomies", type=natural_number, default=48, help="synthetic spines to take images of")
    parser.add_argument("--seed", type=seed_number, default=0, help="of the choice and of the synthetic images")
    parser.add_argument("--points", action="store_true", help="also draw the discs")
    parser.add_argument("--out", required=True, metavar="PREFIX", help="sheets are PREFIX_cervical.png and so on")
    return parser


if __name__ == "__main__":
    build_parser().parse_args()  # --help and misspelt flags are answered before the slow imports below

# ruff: noqa: E402
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch.utils.data import ConcatDataset

from utils.scans.prepared import load_split
from utils.scans.sample import PRESENT
from utils.synthesis.images import SIZE, generate_bank, generate_images
from utils.system.files import replace_file, run

REGIONS = {"cervical": range(1, 9), "thoracic": range(9, 20), "lumbar": range(20, 26)}  # of the middle disc in view
COLUMNS, BAND = 4, 12  # images side by side on either side of a sheet, and pixels between both sides


def region_of(levels):
    """Return the region of the middle one of some levels, or None where there is no level."""
    middle = sorted(levels)[len(levels) // 2] if len(levels) else 0
    return next((region for region, own in REGIONS.items() if middle in own), None)


def real_images(samples, region, count, rng):
    """Choose images (H, W) in 0..1 of a region, each with its points and levels; fewer where there are fewer."""
    own = [index for index, sample in enumerate(samples) if region_of(sample.levels) == region]
    chosen = [samples[own[place]] for place in rng.permutation(len(own))[:count]]
    return [(sample.image, sample.points, sample.levels) for sample in chosen]


def synthetic_images(bank, wanted, seed):
    """Generate training images until each region has as many as are wanted of it.

    Parameters
    ----------
    bank : utils.synthesis.images.Bank
    wanted : dict
        Number of images by region.
    seed : int

    Returns
    -------
    dict
        By region, a list of images (H, W) in 0..1 with their points and levels.
    """
    found, generator = {region: [] for region in wanted}, torch.Generator().manual_seed(seed)
    while any(len(found[region]) < wanted[region] for region in wanted):
        for image, points, states in zip(*(part.numpy() for part in generate_images(bank, 16, generator)), strict=True):
            levels = [level for level in LEVELS if states[level] == PRESENT]
            region = region_of(levels)
            if region in found and len(found[region]) < wanted[region]:
                found[region].append((image[0], points[levels], levels))
    return found


def draw_sheet(real, synthetic, points):
    """Return a picture with real images on the left and synthetic ones on the right.

    Parameters
    ----------
    real, synthetic : list of (image, points, levels)
        Images (H, W) in 0..1, points (N, 2) of (row, col) in pixels.
    points : bool
        Whether discs are drawn.
    """
    rows = -(-max(len(real), len(synthetic)) // COLUMNS)
    sheet = Image.new("RGB", (2 * COLUMNS * SIZE + BAND, rows * SIZE), "white")
    for left, images in ((0, real), (COLUMNS * SIZE + BAND, synthetic)):
        for index, (image, places, levels) in enumerate(images):
            tile = _tile(image, places, levels if points else ())
            sheet.paste(tile, (left + index % COLUMNS * SIZE, index // COLUMNS * SIZE))
    return sheet


def _tile(image, points, levels):
    """Return a picture of SIZE x SIZE pixels: the middle of an image, with a dot on each disc."""
    tile = Image.new("RGB", (SIZE, SIZE))
    top, left = ((SIZE - length) // 2 for length in image.shape)
    tile.paste(Image.fromarray(np.uint8(np.clip(image, 0, 1) * 255)), (left, top))
    pen = ImageDraw.Draw(tile)
    for (row, column), level in zip(points, levels, strict=False):
        pen.ellipse((column + left - 1.5, row + top - 1.5, column + left + 1.5, row + top + 1.5), fill="yellow")
        pen.text((column + left + 4, row + top - 5), name(level), fill="yellow")
    return tile


def main(argv=None):
    """Draw a sheet for each region that the data sets show."""
    args = build_parser().parse_args(argv)
    samples = ConcatDataset([load_split(folder, args.split) for folder in args.data])
    rng = np.random.default_rng(args.seed)
    real = {region: real_images(samples, region, args.images, rng) for region in REGIONS}
    real = {region: images for region, images in real.items() if images}
    wanted = {region: len(images) for region, images in real.items()}
    synthetic = synthetic_images(generate_bank(args.anatomies, args.seed), wanted, args.seed)
    for region in real:
        path = f"{args.out}_{region}.png"
        with replace_file(path) as temporary:
            draw_sheet(real[region], synthetic[region], args.points).save(temporary)
        print(f"{path}: {wanted[region]} real images on the left, as many synthetic ones on the right")


if __name__ == "__main__":
    run(main)
