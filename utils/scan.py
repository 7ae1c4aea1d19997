"""A NIfTI file to an upright sagittal slice and back: all conversion between voxels, world and pixels.

World coordinates are NIfTI's: mm, x to the patient's right, y to the front, z to the head. A slice has
its rows from superior to inferior and its columns from anterior to posterior, with the same spacing along
both.
"""

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from utils.discs import FIRST, LANDMARKS, LAST
from utils.plane import Plane

SLAB_MM = 6.0  # about the six middle slices of 1 mm that the published method averages
MAX_VOXELS = 2**27  # half a GB as float32
LONGEST_HEADER = 2**26  # bytes before the voxels; extensions, which hold notes, are read whole
ENDINGS = (".nii", ".nii.gz", ".img", ".hdr")
# By a header's length, which tells NIfTI-1 from NIfTI-2: type and place of vox_offset, pixdim[1:4] and sform_code.
FIELDS = {348: (("f", 108), ("3f", 80), ("h", 254)), 540: (("q", 168), ("3d", 112), ("i", 348))}
LARGEST_MM = 3000.0  # no person is longer
NEAR_INTEGER = 0.05
ONE_DISC_MM = 3.0
MOST_SLABS_BESIDE = 5  # on either side of the middle one: a spine lies within some 30 mm of it


class ScanError(ValueError):
    """Why a scan or its labels cannot be used, in a few words."""


@dataclass
class Scan:
    """An image as it lies in its file: data (X, Y, Z) float32, and the affine (4, 4) from voxels to world mm."""

    path: Path
    data: np.ndarray
    affine: np.ndarray

    def to_voxel(self, world):
        """Turn world mm (N, 3) into voxel coordinates (N, 3)."""
        return apply_affine(np.linalg.inv(self.affine), np.reshape(world, (-1, 3)))


def _load(path, max_voxels):
    """Read a 3D NIfTI file into an array and its affine, or say in a `ScanError` why not."""
    path = Path(path)
    if not path.name.lower().endswith(ENDINGS):
        raise ScanError("its name does not end in .nii or .nii.gz: convert it to NIfTI (DICOM by dcm2niix)")
    try:
        _check_content(path)
        _check_header(path)
        image = nibabel.load(path)
        if not isinstance(image, nibabel.nifti1.Nifti1Pair):
            raise ScanError(f"it is a {type(image).__name__.removesuffix('Image')} file: convert it to NIfTI")
        if np.prod(image.shape, dtype=float) > max_voxels:
            raise ScanError(f"it claims {'x'.join(map(str, image.shape))} voxels, more than --max-voxels allows")
        dtype = image.get_data_dtype()
        if dtype.kind not in "iuf":
            raise ScanError(f"its voxels are {dtype}, not plain numbers")
        if len(image.shape) == 4 and image.shape[3] == 1:
            image = image.slicer[..., 0]
        if len(image.shape) != 3:
            raise ScanError(f"it has {len(image.shape)} dimensions, not 3")
        affine = np.asarray(image.affine, float)
        if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise ScanError("its affine is zero, singular or not finite, so it has no place in the world")
        size = np.linalg.norm(affine[:3, :3], axis=0) * image.shape
        if size.max() > LARGEST_MM:
            raise ScanError(f"its affine makes it {size.max() / 1000:.3g} m long, which no scan is")
        data = np.asarray(image.dataobj)
    except nibabel.filebasedimages.ImageFileError:
        raise ScanError("it is not a NIfTI file") from None
    except nibabel.spatialimages.HeaderDataError as error:
        raise ScanError(f"its header is damaged ({error})") from None
    except ScanError:
        raise
    except PermissionError:
        raise ScanError("it may not be read (permission denied)") from None
    except (EOFError, OSError, OverflowError, zlib.error, gzip.BadGzipFile, ValueError):
        raise ScanError("it is damaged or cut short") from None
    return data, affine


def _check_header(path):
    """Refuse what nibabel would believe: voxels of no size, and a header so long that reading it takes for ever."""
    try:
        with nibabel.openers.ImageOpener(path) as stream:
            head = stream.read(352).ljust(352, b"\0")
    except gzip.BadGzipFile:
        raise ScanError("it is not a NIfTI file") from None
    for order in "<>":
        (kind,) = struct.unpack_from(f"{order}i", head)
        if kind in FIELDS:
            offset, *sizes, sform = (
                value for code, place in FIELDS[kind] for value in struct.unpack_from(order + code, head, place)
            )
            if offset > LONGEST_HEADER:
                raise ScanError("its header claims that its voxels begin far behind it: it is damaged")
            if sform == 0 and 0 in sizes:
                raise ScanError("its header says that its voxels have no size: it has no place in the world")


def _check_content(path):
    """Tell apart a missing file, and the placeholder of one that git-annex has not fetched."""
    if path.is_symlink() and not path.exists():
        if "annex" in str(path.readlink()):
            raise ScanError(f"its content is not fetched: run `git annex get {path.name}` in its folder")
        raise ScanError("it is a link to nothing: mend the link, or name the file itself")
    if not path.is_file():
        raise ScanError("the file is missing")
    if path.stat().st_size < 1024:
        head = path.read_bytes()[:200]
        if head.startswith(b"/annex/objects/") or b".git/annex/objects/" in head:
            raise ScanError(f"its content is not fetched: run `git annex get {path.name}` in its folder")


def read_scan(path, max_voxels=MAX_VOXELS):
    """Read an image.

    Parameters
    ----------
    path : path-like
    max_voxels : int
        A file that claims more is refused before its data are read.

    Returns
    -------
    Scan

    Raises
    ------
    ScanError
        If the file is missing, not fetched by git-annex, no NIfTI, cut short, not 3D, holds values that
        are not finite, is constant, or has no usable affine.
    """
    data, affine = _load(path, max_voxels)
    data = data.astype(np.float32, copy=False)
    low, high = data.min(), data.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ScanError("it holds values that are not finite")
    if low == high:
        raise ScanError("all of its voxels have the same value")
    return Scan(Path(path), data, affine)


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
    slice is turned until its rows run along the world's superior-inferior axis as far as the plane allows.

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
        In the scan's own units; 0 outside of it.
    plane : Plane
        Of the slab at offset 0.
    """
    axis, (first, second), down, back, across = _sagittal_axes(scan.affine)
    step = scan.affine[:3, :3]
    sizes = np.linalg.norm(step, axis=0)
    middle = (np.array(scan.data.shape) - 1) / 2
    if through is not None:
        middle[axis] = np.clip(scan.to_voxel(through)[:, axis].mean(), 0, scan.data.shape[axis] - 1)
    # Where the corners of the voxels' rectangle fall along down and back, seen from its middle.
    centre = apply_affine(scan.affine, middle)
    half = [0.5 * scan.data.shape[k] * step[:, k] for k in (first, second)]
    reach = [sum(abs(edge @ direction) for edge in half) for direction in (down, back)]
    shape = tuple(max(1, int(round(2 * length / resolution))) for length in reach)
    origin = centre - resolution * (0.5 * (shape[0] - 1) * down + 0.5 * (shape[1] - 1) * back)
    plane = Plane(origin, resolution * down, resolution * back, across, shape)

    # Voxel coordinates along `first` and `second` are an affine function of (row, col).
    inverse = np.linalg.inv(scan.affine)
    start = apply_affine(inverse, origin)[[first, second]]
    turn = np.stack([(inverse[:3, :3] @ vector)[[first, second]] for vector in (plane.down, plane.back)], 1)
    # Shrinking without a blur would alias.
    blur = [max(0.0, 0.4 * (resolution / sizes[k] - 1)) for k in (first, second)]
    # The whole slices that come nearest to the offsets.
    _, towards, thick = _slices(scan)
    low = np.floor(middle[axis] + np.asarray(offsets) / towards - (thick - 1) / 2 + 0.5 + 1e-6)
    low = np.clip(low, 0, scan.data.shape[axis] - thick).astype(int)
    images = []
    for slab in _means(scan.data, axis, [(first, first + thick) for first in low]):
        if any(blur):
            slab = ndimage.gaussian_filter(slab, blur)
        images.append(ndimage.affine_transform(slab, turn, start, shape, order=1, mode="constant", prefilter=False))
    return np.stack(images), plane


def _slices(scan):
    """Return the axis across a scan's slices, the mm to the patient's right from one to the next, and slices a slab."""
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
    """Tell whether a scan's slices were taken from the side: no other way are its voxels three times as thick."""
    sizes = np.linalg.norm(scan.affine[:3, :3], axis=0)
    return bool(sizes[_sagittal_axes(scan.affine)[0]] > sizes.max() / 3)


def slab_offsets(scan):
    """Return distances (S,) in mm from the volume's middle, ascending, of slabs that lie side by side within it.

    They are made of whole slices, as many as come nearest to 6 mm, and leave none out between them; so the one in the
    middle may lie half a slice beside it.
    """
    axis, towards, thick = _slices(scan)
    count = scan.data.shape[axis]
    low = (count - thick + 1) // 2 + thick * np.arange(-MOST_SLABS_BESIDE, MOST_SLABS_BESIDE + 1)
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
    scaled = np.clip((image - low) / max(high - low, 1e-12), 0, 1) * filled
    root = float(np.log(0.25) / np.log(np.clip(scaled[filled].mean(), 1e-3, 0.25)))
    return (scaled**root).astype(np.float32)


def read_discs(path, max_voxels=MAX_VOXELS):
    """Read the discs of a label volume; parameters as in `read_scan`.

    Returns
    -------
    levels : (N,) int array, ascending
    world : (N, 3) float array
        In mm, so that the labels may lie on another grid than their image.
    dropped : int
        Landmarks that are no discs (values 49, 50 and 60).

    Raises
    ------
    ScanError
        As `read_scan`; and if there is no disc, a value is no level, or a level lies in two places.
    """
    data, affine = _load(path, max_voxels)
    # In the order in which NIfTI stores voxels, which spares a walk across memory.
    filled = np.flatnonzero(data.reshape(-1, order="F") != 0)
    voxels = np.stack(np.unravel_index(filled, data.shape, order="F"), -1)
    if len(voxels) == 0:
        raise ScanError("the label volume is empty")
    values = data[tuple(voxels.T)].astype(float)
    rounded = np.round(values)
    strange = ~(np.abs(values - rounded) <= NEAR_INTEGER)  # NaN too
    if strange.any():
        raise ScanError(f"the label volume holds {values[strange][0]:g}, which is no level")
    place = apply_affine(affine, voxels)
    landmark = np.isin(rounded, list(LANDMARKS))
    dropped = len(np.unique(rounded[landmark]))
    levels, world = [], []
    for level in np.unique(rounded[~landmark]).astype(int):
        if not FIRST <= level <= LAST:
            raise ScanError(f"the label volume holds {level}, which is no level")
        group = place[rounded == level]
        if np.linalg.norm(group - group[0], axis=1).max() > ONE_DISC_MM:
            raise ScanError(f"level {level} is labelled in two places")
        levels.append(level)
        world.append(group.mean(0))
    if not levels:
        raise ScanError("the label volume holds landmarks only, and no disc")
    return np.array(levels), np.array(world), dropped


def label_volume(scan, levels, world):
    """Return the bytes of a label volume (``.nii.gz``) on the grid of a scan, one voxel a disc.

    Parameters
    ----------
    scan : Scan
    levels : (N,) int array
    world : (N, 3) array
        In mm; a place beyond the edge of the scan is put on its edge.

    Returns
    -------
    bytes
        Equal for equal discs; the affine is both sform and qform, as far as a qform can hold it.
    """
    data = np.zeros(scan.data.shape, np.uint8)
    voxels = np.clip(np.round(scan.to_voxel(world)), 0, np.array(data.shape) - 1).astype(int)
    data[tuple(voxels.T)] = levels
    image = nibabel.Nifti1Image(data, scan.affine)
    image.set_qform(scan.affine, code="scanner")
    image.set_sform(scan.affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)
