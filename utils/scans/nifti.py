"""Reading NIfTI files safely: a scan, or in a few words why it cannot be used.

World coordinates are NIfTI's: mm, x to the patient's right, y to the front, z to the head.
"""

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import apply_affine

MAX_VOXELS = 2**27  # half a GB as float32
LONGEST_HEADER = 2**26  # bytes before the voxels; extensions, which hold notes, are read whole
ENDINGS = (".nii", ".nii.gz", ".img", ".hdr")
# By a header's length, which tells NIfTI-1 from NIfTI-2: type and place of vox_offset, pixdim[1:4] and sform_code.
FIELDS = {348: (("f", 108), ("3f", 80), ("h", 254)), 540: (("q", 168), ("3d", 112), ("i", 348))}
LARGEST_MM = 3000.0  # no scan is longer


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


def load_volume(path, max_voxels):
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
    data, affine = load_volume(path, max_voxels)
    data = data.astype(np.float32, copy=False)
    low, high = data.min(), data.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ScanError("it holds values that are not finite")
    if low == high:
        raise ScanError("all of its voxels have the same value")
    return Scan(Path(path), data, affine)
