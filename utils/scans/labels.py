"""Label volumes: one voxel per disc, on its posterior tip, whose value is the level."""

import gzip
from dataclasses import dataclass

import nibabel
import numpy as np
from nibabel.affines import apply_affine
from scipy import ndimage

from utils.discs import FIRST, LANDMARKS, LAST, name
from utils.scans.limits import MAX_VOXELS
from utils.scans.nifti import ScanError, load_volume

NEAR_INTEGER = 0.05
WIDEST_MM = 15.0  # a ball with a radius of 5 mm, as other programs draw labels, and its voxels' own size
POSITION = (  # the fields of a header that say where its voxels lie, beside pixdim
    "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
    "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip


@dataclass
class Discs:
    """What a label volume holds.

    Attributes
    ----------
    levels : (N,) int array, ascending
    world : (N, 3) float array
        Centroid of each label in mm.
    faults : dict
        Level to the reason why its label cannot be used; such levels are not in ``levels``.
    landmarks : int
        How many kinds of landmarks that are no discs it holds (values 49, 50 and 60).
    others : list of int
        Further values that are no level.
    shape, affine
        Of its grid.
    """

    levels: np.ndarray
    world: np.ndarray
    faults: dict
    landmarks: int
    others: list
    shape: tuple
    affine: np.ndarray


def read_discs(path, max_voxels=MAX_VOXELS):
    """Read the discs of a label volume; parameters as in `read_scan`.

    A label is one voxel, or voxels that touch, such as a ball, of which the centroid counts.

    Returns
    -------
    Discs
        In world mm, so that the labels may have another grid than their image.

    Raises
    ------
    ScanError
        As `read_scan`; and if a value is not a whole number, or there is no label of a disc.
    """
    data, affine, _ = load_volume(path, max_voxels)
    # In the order in which NIfTI stores voxels, which spares a walk across memory.
    filled = np.flatnonzero(data.reshape(-1, order="F") != 0)
    voxels = np.stack(np.unravel_index(filled, data.shape, order="F"), -1)
    if len(voxels) == 0:
        raise ScanError("the label volume is empty")
    values = data[tuple(voxels.T)].astype(float)
    rounded = np.round(values)
    broken = ~(np.abs(values - rounded) <= NEAR_INTEGER)  # NaN too
    if broken.any():
        raise ScanError(f"the label volume holds {values[broken][0]:g}, which is no level")
    found = [int(value) for value in np.unique(rounded)]
    levels, world, faults = [], [], {}
    for level in found:
        if FIRST <= level <= LAST:
            places = voxels[rounded == level]
            fault = _fault(places, affine)
            if fault:
                faults[level] = f"level {level} {fault}"
            else:
                levels.append(level)
                world.append(apply_affine(affine, places).mean(0))
    landmarks = len(set(found) & set(LANDMARKS))
    others = [value for value in found if not FIRST <= value <= LAST and value not in LANDMARKS]
    if not levels and not faults:
        if others:
            raise ScanError(f"the label volume holds {others[0]}, which is no level, and no disc")
        raise ScanError("the label volume holds landmarks only, and no disc")
    return Discs(np.array(levels, int), np.reshape(world, (-1, 3)), faults, landmarks, others, data.shape, affine)


def _fault(voxels, affine):
    """Return why voxels (N, 3) of one value are not the label of one disc; None if they are."""
    if len(voxels) == 1:
        return None
    box = np.zeros(np.ptp(voxels, axis=0) + 1, bool)
    box[tuple((voxels - voxels.min(0)).T)] = True
    if ndimage.label(box, np.ones((3, 3, 3)))[1] > 1:
        return "is labelled in two places"
    length = (box.shape * np.linalg.norm(affine[:3, :3], axis=0)).max()
    # One voxel is a label however large it is, so two of them that touch are as well.
    if length > WIDEST_MM and max(box.shape) > 2:
        return f"is a label {length:.0f} mm long: it is a segmentation, and no point on a disc"
    return None


def voxels_of(scan, world):
    """Return the voxels (N, 3) of a scan that hold places in mm (N, 3); those beyond its edge are put on the edge."""
    return np.round(scan.to_voxel_inside(world)).astype(int)


def label_volume(scan, levels, world):
    """Return the bytes of a label volume (``.nii.gz``) on the grid of a scan, one voxel per disc.

    Parameters
    ----------
    scan : Scan
        As `read_scan` returns it, with the header of its file.
    levels : (N,) int array
    world : (N, 3) array
        In mm; a place beyond the edge of the scan is put on its edge.

    Returns
    -------
    bytes
        Equal for equal discs. Voxel size, unit, sform, qform and both codes are those of the scan, in its own kind of
        NIfTI: every program puts the two in the same place, whichever of the forms it reads.

    Raises
    ------
    ScanError
        If two discs lie in one voxel, which holds a single level.
    """
    data = np.zeros(scan.data.shape, np.uint8)
    for level, voxel in zip(levels, map(tuple, voxels_of(scan, world)), strict=True):
        if data[voxel]:
            names = f"{name(int(data[voxel]))} and {name(int(level))}"
            raise ScanError(f"{names} lie in one voxel: move or delete one of them, or give a scan with smaller voxels")
        data[voxel] = level
    kind = nibabel.Nifti2Image if isinstance(scan.header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    header = kind.header_class()
    header.set_data_dtype(data.dtype)
    for field in POSITION:
        header[field] = scan.header[field]
    header["pixdim"][:4] = scan.header["pixdim"][:4]
    return gzip.compress(kind(data, None, header).to_bytes(), compresslevel=1, mtime=0)
