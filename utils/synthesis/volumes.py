"""Images of a synthetic anatomy: volumes with the contrast, resolution, place and noise of a scanner."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from utils.discs import LAST, LEVELS
from utils.synthesis.canvas import PIXEL_MM, TISSUES

# Typical signal of each tissue, relative to fat on T1w and to CSF on T2w; order as in TISSUES.
SIGNAL = {
    "T1w": (0.01, 1.0, 0.34, 0.58, 0.33, 0.10, 0.13, 0.45, 0.08, 0.38, 0.03, 0.26, 0.46, 0.12, 0.33, 0.25, 0.28, 0.36),
    "T2w": (0.01, 0.72, 0.17, 0.42, 0.66, 0.08, 1.00, 0.42, 0.06, 0.33, 0.03, 0.16, 0.48, 1.00, 0.45, 0.20, 0.60, 0.50),
}
# What else scanners make of the same tissues: short-tau inversion recovery, proton density, and the water and fat
# images of a gradient echo.
CONTRASTS = {
    **SIGNAL,
    "T1w, contrast agent": (
        0.01, 1.0, 0.36, 0.60, 0.33, 0.12, 0.13, 0.47, 0.90, 0.55, 0.03, 0.28, 0.48, 0.12, 0.45, 0.35, 0.28, 0.80,
    ),
    "STIR": (
        0.01, 0.06, 0.25, 0.14, 0.60, 0.06, 1.00, 0.42, 0.12, 0.38, 0.03, 0.14, 0.48, 1.00, 0.45, 0.20, 0.60, 0.50,
    ),
    "PD": (
        0.01, 0.95, 0.55, 0.68, 0.72, 0.12, 0.75, 0.62, 0.15, 0.58, 0.05, 0.35, 0.65, 0.80, 0.55, 0.40, 0.66, 0.65,
    ),
    "water": (
        0.01, 0.14, 0.45, 0.28, 0.80, 0.18, 0.85, 0.58, 0.55, 0.55, 0.03, 0.38, 0.60, 0.90, 0.45, 0.30, 0.66, 0.70,
    ),
    "fat": (
        0.01, 1.00, 0.10, 0.65, 0.05, 0.05, 0.03, 0.06, 0.04, 0.08, 0.01, 0.05, 0.06, 0.02, 0.08, 0.30, 0.08, 0.06,
    ),
}  # fmt: skip
# Share of patchy texture within a tissue.
TEXTURE = np.array([0, 0.05, 0.12, 0.12, 0.15, 0.1, 0.06, 0.04, 0.3, 0.15, 0.3, 0.2, 0.1, 0.03, 0.35, 0.1, 0.15, 0.3])
FIELDS_OF_VIEW = ("cervical", "whole", "lumbar")


@dataclass
class Volume:
    """A synthetic scan.

    Attributes
    ----------
    data : (X, Y, Z) float32 array
        Axes run to the patient's right, to the front and to the head.
    affine : (4, 4) array
        Voxels to world mm.
    levels : (N,) int array
        Discs in the field of view.
    voxels : (N, 3) int array
        Voxel of each disc's posterior tip.
    """

    data: np.ndarray
    affine: np.ndarray
    levels: np.ndarray
    voxels: np.ndarray


def choose_field_of_view(rng, anatomy):
    """Choose what a scan covers, (top, bottom) in mm of the anatomy: cervicothoracic, whole or lumbar spine."""
    row = anatomy.points[:, 0]
    kind = rng.choice(FIELDS_OF_VIEW, p=[0.5, 0.2, 0.3])
    if kind == "cervical":
        # Some show the head, and some end at the dens or below it.
        top = row[1] + rng.choice([rng.uniform(-70, -25), rng.uniform(-130, 40)], p=[0.6, 0.4])
        return top, top + rng.uniform(240, 330)
    if kind == "whole":
        return row[1] - rng.uniform(15, 50), row[25] + rng.uniform(40, 90)
    bottom = row[25] + rng.uniform(35, 110)
    return bottom - rng.uniform(260, 380), bottom


def generate_volume(rng, anatomy, contrast, field, voxel_mm, turn_deg=(0.0, 0.0, 0.0), off_centre=None):
    """Scan an anatomy.

    Parameters
    ----------
    rng : numpy.random.Generator
    anatomy : utils.synthesis.anatomy.Anatomy
    contrast : str
        ``T1w`` or ``T2w``.
    field : (top, bottom)
        In mm of the anatomy.
    voxel_mm : three floats
        Size of a voxel left-right, front-back and head-foot.
    turn_deg : three floats
        How the scanner's box is rotated in the world, about its axes in that order.
    off_centre : float, optional
        How far the middle of the box lies beside that of the anatomy, in mm; random by default.

    Returns
    -------
    Volume
    """
    voxel = np.asarray(voxel_mm, float)
    middle_col = np.nanmean(anatomy.points[1 : LAST + 1, 1]) - rng.uniform(5, 35)
    depth = min(rng.uniform(200, 290), anatomy.maps.shape[2] * PIXEL_MM - 20)
    rows = np.arange(field[1], field[0], -voxel[2])  # upward
    columns = middle_col + depth / 2 - np.arange(0, depth, voxel[1])  # forward
    lateral = rng.uniform(44, 60)
    beside = rng.normal(0, 4) if off_centre is None else off_centre
    across = np.arange(0, lateral, voxel[0]) - lateral / 2 - beside

    signal = np.array(SIGNAL[contrast]) * np.exp(rng.normal(0, 0.12, len(TISSUES)))
    maps = _resample(anatomy.maps, rows, columns, voxel, signal, rng)
    shift = np.interp(rows, np.arange(len(anatomy.shift)) * PIXEL_MM, anatomy.shift)
    widths = np.stack([np.interp(rows, np.arange(len(w)) * PIXEL_MM, w) for w in anatomy.widths.T], -1)
    beside = np.abs(across[:, None] - shift[None])  # (X, Z) mm from the spine's middle
    weight = _map_weights(beside, widths, voxel[0])  # (X, Z, 4)
    data = np.einsum("xzm,myz->xyz", weight, maps, optimize=True).astype(np.float32)

    data *= _bias_field(rng, data.shape)
    sigma = rng.uniform(0.008, 0.035)
    noise = rng.standard_normal((2, *data.shape), np.float32) * np.float32(sigma)
    data = np.sqrt((data + noise[0]) ** 2 + noise[1] ** 2)  # Rician
    data *= np.float32(rng.uniform(300, 2000))

    row = anatomy.points[:, 0]
    levels = np.array([level for level in LEVELS if field[0] + 2 < row[level] < field[1] - 2], int)
    points = anatomy.points[levels]
    lateral_mm = np.interp(points[:, 0], np.arange(len(anatomy.shift)) * PIXEL_MM, anatomy.shift)
    voxels = np.stack(
        [
            (lateral_mm - across[0]) / voxel[0],
            (columns[0] - points[:, 1]) / voxel[1],
            (rows[0] - points[:, 0]) / voxel[2],
        ],
        -1,
    )
    voxels = np.round(voxels).astype(int)
    inside = ((voxels >= 0) & (voxels < data.shape)).all(-1)  # a curved spine may leave the volume
    affine = np.eye(4)
    affine[:3, :3] = _rotation(np.deg2rad(turn_deg)) * voxel
    affine[:3, 3] = -affine[:3, :3] @ (np.array(data.shape) - 1) / 2 + rng.normal(0, 20, 3)
    return Volume(data, affine, levels[inside], voxels[inside])


def _resample(maps, rows, columns, voxel, signal, rng):
    """Convert tissues into signal on the scan's own grid in the sagittal plane; (4, Y, Z)."""
    images = []
    blur = [0.42 * max(voxel[2], PIXEL_MM) / PIXEL_MM, 0.42 * max(voxel[1], PIXEL_MM) / PIXEL_MM]
    low = [int(max(min(axis) / PIXEL_MM - 8, 0)) for axis in (rows, columns)]
    high = [int(max(axis) / PIXEL_MM + 8) for axis in (rows, columns)]
    patches = ndimage.gaussian_filter(
        rng.standard_normal(maps.shape[1:], np.float32)[low[0] : high[0], low[1] : high[1]], 3
    )
    patches /= patches.std()
    where = np.meshgrid(rows / PIXEL_MM - low[0], columns / PIXEL_MM - low[1], indexing="ij")
    for map_ in maps:
        part = map_[low[0] : high[0], low[1] : high[1]]
        image = signal.astype(np.float32)[part] * (1 + TEXTURE.astype(np.float32)[part] * patches)
        image = ndimage.gaussian_filter(np.maximum(image, 0), blur)
        images.append(ndimage.map_coordinates(image, where, order=1, mode="nearest", prefilter=False).T)
    return np.stack(images)


def _map_weights(beside, widths, thickness):
    """Share (X, Z, 4) of each map in a voxel ``beside`` mm from the middle: partial volume of thick slices."""
    edges = [np.clip((widths[None, :, k] - beside) / thickness + 0.5, 0, 1) for k in range(3)]
    cord, canal, body = edges[0], np.maximum(edges[1], edges[0]), np.maximum(edges[2], edges[1])
    return np.stack([cord, canal - cord, body - canal, 1 - body], -1)


def _bias_field(rng, shape):
    """Return a smooth field: the coil lies behind, so that signal falls to the front and to the ends."""
    x, y, z = (np.linspace(-1, 1, size, dtype=np.float32) for size in shape)
    fall, ends = rng.uniform(0.1, 0.9), rng.uniform(0.0, 0.5)
    along = np.exp(-ends * (z - rng.normal(0, 0.2)) ** 2) * np.exp(0.1 * np.sin(2 * z + rng.uniform(0, 6)))
    front = np.exp(-fall * (y + 0.3))
    return front[None, :, None] * along * (1 + rng.normal(0, 0.05) * x)[:, None, None]


def _rotation(angles):
    """Return the rotation (3, 3) about x, then y, then z, by angles in radians."""
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result
