"""Upright sagittal slices of a scan: the geometry from voxels to pixels, and the intensities that a network sees.

A slice has its rows from superior to inferior and its columns from anterior to posterior, with the same
spacing along both.
"""

import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from utils.scans.padding import fill_padding
from utils.scans.plane import Plane

SLAB_MM = 6.0  # about the six middle slices of 1 mm that the published method averages
REACH_MM = 30.0  # of the slabs, to either side of the volume's middle: a spine lies within it


def _sagittal_axes(affine):
    """Return the voxel axis nearest to left-right, the two others, and the unit vectors down, back, across."""
    step = affine[:3, :3]
    unit = step / np.linalg.norm(step, axis=0)
    axis = int(np.argmax(np.abs(unit[0])))
    others = [other for other in range(3) if other != axis]
    across = np.cross(unit[:, others[0]], unit[:, others[1]])
    across /= np.linalg.norm(across) * np.sign(across[0])
    down = np.array([0.0, 0.0, -1.0])
    down -= across * (down @ across)
    down /= np.linalg.norm(down)
    return axis, others, down, np.cross(down, across), across


def sagittal(scan, resolution=1.0, through=None, offsets=(0.0,)):
    """Cut upright sagittal slices out of a scan, each the mean over a slab of about 6 mm.

    Slabs follow the voxel axis nearest to left-right, so that thick slices are never mixed; inside, the
    slice is rotated until its rows run along the world's superior-inferior axis as far as the plane allows.

    Parameters
    ----------
    scan : Scan
    resolution : float
        Size of the slices' pixels in mm.
    through : (N, 3) array, optional
        World points in mm that the middle slab passes through on average; the volume's middle by default.
    offsets : sequence of float
        Distances in mm of the slabs from there, to the patient's right.

    Returns
    -------
    images : (len(offsets), H, W) float32 array
        In the scan's own units; 0 outside of it, and in its padding.
    plane : Plane
        Of the slab at offset 0.
    """
    axis, (first, second), down, back, across = _sagittal_axes(scan.affine)
    step = scan.affine[:3, :3]
    sizes = np.linalg.norm(step, axis=0)
    _, towards, thick = _slices(scan)
    middle = (np.array(scan.data.shape) - 1) / 2
    centre = apply_affine(scan.affine, middle)
    if through is not None:
        index = np.clip(scan.to_voxel(through)[:, axis].mean(), 0, scan.data.shape[axis] - 1)
        # Straight across, which is not along the voxels' axis where the affine has shear.
        centre = centre + (index - middle[axis]) * towards * across
        middle[axis] = index
    # Where the corners of the voxels' rectangle fall along down and back, seen from its middle.
    half = [0.5 * scan.data.shape[k] * step[:, k] for k in (first, second)]
    reach = [sum(abs(edge @ direction) for edge in half) for direction in (down, back)]
    shape = tuple(max(1, int(round(2 * length / resolution))) for length in reach)
    origin = centre - resolution * (0.5 * (shape[0] - 1) * down + 0.5 * (shape[1] - 1) * back)
    plane = Plane(origin, resolution * down, resolution * back, across, shape)

    # The whole slices that come nearest to the offsets.
    low = np.floor(middle[axis] + np.asarray(offsets) / towards - (thick - 1) / 2 + 0.5 + 1e-6)
    low = np.clip(low, 0, scan.data.shape[axis] - thick).astype(int)

    # Voxel coordinates along `first` and `second` are an affine function of (row, col), and of the distance from the
    # middle slab, where an affine with shear lets the slices slide along each other.
    inverse = np.linalg.inv(scan.affine)
    start = apply_affine(inverse, origin)[[first, second]]
    slide = (inverse[:3, :3] @ across)[[first, second]]
    away = (low + (thick - 1) / 2 - middle[axis]) * towards
    turn = np.stack([(inverse[:3, :3] @ vector)[[first, second]] for vector in (plane.down, plane.back)], 1)
    # Shrinking without a blur would alias.
    blur = [max(0.0, 0.4 * (resolution / sizes[k] - 1)) for k in (first, second)]
    images = []
    slabs = _means(fill_padding(scan.data, axis), axis, [(index, index + thick) for index in low])
    for slab, distance in zip(slabs, away, strict=True):
        if any(blur):
            slab = ndimage.gaussian_filter(slab, blur)
        place = start + distance * slide
        images.append(ndimage.affine_transform(slab, turn, place, shape, order=1, mode="constant", prefilter=False))
    return np.stack(images), plane


def _slices(scan):
    """Return the axis across a scan's slices, the mm to the right from one to the next, and the slices per slab."""
    axis, *_, across = _sagittal_axes(scan.affine)
    step = scan.affine[:3, axis]
    thick = max(1, round(SLAB_MM / np.linalg.norm(step)))
    return axis, float(step @ across), min(thick, scan.data.shape[axis])


def _means(data, axis, bounds):
    """Return the means (S, h, w) of a volume over ranges of voxels (low, high) along an axis."""
    if axis > 0:
        return [np.moveaxis(data, axis, 0)[low:high].mean(0, dtype=np.float32) for low, high in bounds]
    # Along the first axis neighbours lie next to each other in memory: one product for all slabs reads every voxel
    # once, in order, which takes a tenth of the time of so many means over a few voxels each.
    shares = np.zeros((len(data), len(bounds)), np.float32)
    for index, (low, high) in enumerate(bounds):
        shares[low:high, index] = 1 / (high - low)
    return (data.T @ shares).T


def is_sagittal(scan):
    """Return whether slices may be sagittal: not where voxels are three times as long in another direction."""
    sizes = np.linalg.norm(scan.affine[:3, :3], axis=0)
    return bool(sizes[_sagittal_axes(scan.affine)[0]] > sizes.max() / 3)


def slab_offsets(scan):
    """Return distances (S,) in mm from the volume's middle, ascending, of slabs that lie side by side within it.

    They are made of whole slices, as many as come nearest to 6 mm, and leave none out between them; so the one in the
    middle may lie half a slice beside it. Those on either side are as many as reach 30 mm from the middle.
    """
    axis, towards, thick = _slices(scan)
    count = scan.data.shape[axis]
    beside = int(np.ceil(REACH_MM / abs(thick * towards) - 0.5))
    low = (count - thick + 1) // 2 + thick * np.arange(-beside, beside + 1)
    low = low[(low >= 0) & (low <= count - thick)]
    return np.sort((low + (thick - 1) / 2 - (count - 1) / 2) * towards)


def slabs_of(scan, resolution=1.0):
    """Cut a scan into what a network sees, for which no label is needed.

    Parameters
    ----------
    scan : Scan
    resolution : float
        Size of the slabs' pixels in mm.

    Returns
    -------
    slabs : (S, H, W) float32 array in 0..1
        Side by side through the volume, as `normalise` scales them.
    offsets : (S,) array
        Distances in mm from the volume's middle, to the patient's right.
    plane : Plane
        Of the volume's middle, where the offsets begin.
    """
    offsets = slab_offsets(scan)
    images, plane = sagittal(scan, resolution, offsets=offsets)
    return np.stack([normalise(image) for image in images]), offsets, plane


def normalise(image):
    """Scale a slice to 0..1, for any contrast and unit; training, evaluation and prediction all do it here.

    The percentiles 0.5 and 99.5 of what is not empty become 0 and 1. Where fat beside the coil outshines
    everything, a root lifts the mean to 0.25.

    Parameters
    ----------
    image : (H, W) array

    Returns
    -------
    (H, W) float32 array
    """
    filled = image != 0
    if not filled.any():
        return np.zeros(image.shape, np.float32)
    low, high = np.percentile(image[filled], [0.5, 99.5]).tolist()  # plain numbers: what is single stays single
    scaled = np.clip((image - low) / (high - low), 0, 1) if high > low else (image > low).astype(np.float32)
    scaled *= filled
    root = float(np.log(0.25) / np.log(np.clip(scaled[filled].mean(), 1e-3, 0.25)))
    return (scaled**root).astype(np.float32)
