"""Label volumes: one voxel per disc, on its posterior tip, whose value is the level."""

import gzip

import nibabel
import numpy as np
from nibabel.affines import apply_affine

from utils.discs import FIRST, LANDMARKS, LAST
from utils.scans.nifti import MAX_VOXELS, ScanError, load_volume

NEAR_INTEGER = 0.05
ONE_DISC_MM = 3.0
POSITION = (  # the fields of a header that say where its voxels lie, beside pixdim
    "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y",
    "qoffset_z", "srow_x", "srow_y", "srow_z",
)  # fmt: skip


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
    data, affine, _ = load_volume(path, max_voxels)
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
    """
    data = np.zeros(scan.data.shape, np.uint8)
    voxels = np.clip(np.round(scan.to_voxel(world)), 0, np.array(data.shape) - 1).astype(int)
    data[tuple(voxels.T)] = levels
    kind = nibabel.Nifti2Image if isinstance(scan.header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    header = kind.header_class()
    header.set_data_dtype(data.dtype)
    for field in POSITION:
        header[field] = scan.header[field]
    header["pixdim"][:4] = scan.header["pixdim"][:4]
    return gzip.compress(kind(data, None, header).to_bytes(), compresslevel=1, mtime=0)
