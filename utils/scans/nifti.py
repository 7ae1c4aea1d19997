"""Reading NIfTI files safely: a scan, or in a few words why it cannot be used.

World coordinates are NIfTI's: mm, x to the patient's right, y to the front, z to the head. A header may give two
positions: the sform is used where its code is above 0, else the qform, as nibabel and the Spinal Cord Toolbox do. ITK
(ITK-SNAP, 3D Slicer, ANTs) does so as well, except where both are given and differ: it then prefers the qform to an
sform whose code is not 1, and it reads the axes of a file whose codes are both 0 another way. `position_flags` names
such scans.
"""

import gzip
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.affines import apply_affine

from utils.scans.limits import MAX_VOXELS
from utils.scans.names import halves_of

LONGEST_HEADER = 2**26  # bytes before the voxels; extensions, which hold notes, are read whole
MOST_BEHIND, PIECE = 2**26, 2**20  # bytes behind the voxels that are inflated, and at a time; a bomb holds more
ENDINGS = (".nii", ".nii.gz", ".img", ".hdr")
MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # by the lowest bits of xyzt_units: metres and microns; all else is mm
# By a header's length, which distinguishes NIfTI-1 and NIfTI-2: type and place of vox_offset, pixdim[1:4], sform_code.
FIELDS = {348: (("f", 108), ("3f", 80), ("h", 254)), 540: (("q", 168), ("3d", 112), ("i", 348))}
LENGTHS = [struct.pack(order + "i", length) for order in "<>" for length in FIELDS]  # how a NIfTI file begins
SMALLEST_MM, LARGEST_MM = 1.0, 3000.0  # a scan's longest side is neither shorter nor longer
SAME_PLACE_MM = 0.5  # by which sform and qform may differ: rounding of headers is far below it


class ScanError(ValueError):
    """Why a scan or its labels cannot be used, in a few words."""


@dataclass
class Scan:
    """An image as it lies in its file.

    Attributes
    ----------
    data : (X, Y, Z) float32 array
    affine : (4, 4) array
        From voxels to world mm.
    header : nibabel.Nifti1Header, optional
        Of the file.
    """

    data: np.ndarray
    affine: np.ndarray
    header: nibabel.Nifti1Header | None = None

    def to_voxel(self, world):
        """Convert world mm (N, 3) to voxel coordinates (N, 3)."""
        return apply_affine(np.linalg.inv(self.affine), np.reshape(world, (-1, 3)))

    def to_voxel_inside(self, world):
        """Convert world mm (N, 3) to voxel coordinates (N, 3); a place beyond the edge is put on the edge."""
        return np.clip(self.to_voxel(world), 0, np.array(self.data.shape) - 1)


def corners_of(shape, affine):
    """Return the places (8, 3) in mm of the voxels at the corners of a grid."""
    return apply_affine(affine, np.stack(np.meshgrid(*((0, size - 1) for size in shape)), -1).reshape(-1, 3))


def farthest_apart(shape, one, other):
    """Return the largest distance in mm of two affines at the corners of a grid."""
    return np.linalg.norm(corners_of(shape, one) - corners_of(shape, other), axis=1).max()


def position_flags(scan):
    """Return what is doubtful about a scan's position: ``no position``, ``two positions`` or nothing, as a list."""
    sform, qform = (scan.header[code] > 0 for code in ("sform_code", "qform_code"))
    if not sform and not qform:
        return ["no position"]
    if not (sform and qform):
        return []
    try:
        other = _in_mm(scan.header.get_qform(), scan.header)
    except ValueError:  # a qform that is no rotation
        return ["two positions"]
    away = farthest_apart(scan.data.shape, scan.affine, other)
    return [] if away <= SAME_PLACE_MM else ["two positions"]


def load_volume(path, max_voxels):
    """Read a 3D NIfTI file into an array, its affine in mm and its header, or say in a `ScanError` why not."""
    path = Path(path)
    if os.path.isdir(path):  # not Path.is_dir, which raises where the folder above may not be searched
        raise ScanError("it is a folder: name a NIfTI file in it, or give a BIDS tree with --data")
    if not path.name.lower().endswith(ENDINGS):
        raise ScanError("its name does not end in .nii or .nii.gz: convert it to NIfTI (DICOM by dcm2niix)")
    try:
        check_content(path)
        _check_header(path)
        image = nibabel.load(path)
        if not isinstance(image, nibabel.nifti1.Nifti1Pair):
            raise ScanError(f"it is a {type(image).__name__.removesuffix('Image')} file: convert it to NIfTI")
        shape = "x".join(map(str, image.shape))
        if np.prod(image.shape, dtype=float) > max_voxels:
            raise ScanError(f"it claims {shape} voxels, more than --max-voxels allows")
        dtype = image.get_data_dtype()
        if dtype.kind not in "iuf":
            raise ScanError(f"its voxels are {dtype}, not plain numbers")
        if len(image.shape) < 3:
            raise ScanError(f"it has {len(image.shape)} dimensions, not 3: give the whole volume")
        volumes = int(np.prod(image.shape[3:]))
        if volumes != 1:
            raise ScanError(
                f"it has {len(image.shape)} dimensions, not 3 ({shape}: {volumes} volumes): give one of them as a file"
            )
        if 0 in image.shape:
            raise ScanError(f"it has no voxels ({shape}): convert it again")
        affine = _in_mm(image.affine, image.header)
        if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise ScanError("its affine is zero, singular or not finite, so it has no place in the world")
        size = (np.linalg.norm(affine[:3, :3], axis=0) * image.shape[:3]).max()
        if not SMALLEST_MM <= size <= LARGEST_MM:
            length = f"{size / 1000:.3g} m" if size > LARGEST_MM else f"{size:.2g} mm"
            unit = image.header.get_xyzt_units()[0]
            raise ScanError(
                f"its affine makes it {length} long, which no scan is: correct the voxel size or its unit ({unit})"
            )
        data = _voxels(image, path).reshape(image.shape[:3])
    except nibabel.filebasedimages.ImageFileError:
        raise ScanError("it is not a NIfTI file") from None
    except nibabel.spatialimages.HeaderDataError as error:
        raise ScanError(f"its header is damaged ({error})") from None
    except ScanError:
        raise
    except PermissionError:
        raise ScanError("it may not be read (permission denied)") from None
    except FileNotFoundError as error:
        raise ScanError(f"{Path(error.filename or path).name}, the other half of it, is missing") from None
    except (EOFError, OSError, OverflowError, zlib.error, gzip.BadGzipFile, ValueError, KeyError):
        raise ScanError("it is damaged or cut short") from None
    return data, affine, image.header


def _voxels(image, path):
    """Return the voxels of an image; of a compressed file, only if they fit its check sum, which is at its end."""
    if not path.name.lower().endswith(".gz"):
        return np.asarray(image.dataobj)
    with gzip.open(path) as stream:
        data = np.asarray(type(image).from_stream(stream).dataobj)
        for _ in range(MOST_BEHIND // PIECE):
            if not stream.read(PIECE):  # nibabel stops at the last voxel, before gzip compares the sum
                break
    return data


def _in_mm(affine, header):
    """Return an affine (4, 4) in mm, whatever unit of length the header states."""
    affine = np.array(affine, float)
    affine[:3] *= MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return affine


def _check_header(path):
    """Refuse what nibabel would accept: voxels of no size, and a header so long that reading it takes for ever."""
    with nibabel.openers.ImageOpener(halves_of(path)[0]) as stream:
        head = stream.read(352).ljust(352, b"\0")
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


def not_fetched(path):
    """Return the sentence that says how to fetch what a placeholder of git-annex or git-lfs is for; else None."""
    annex = f"its content is not fetched: run `git annex get {path.name}` in its folder"
    if path.is_symlink() and not path.exists():
        return annex if "annex" in str(path.readlink()) else None
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        head = file.read(512)
    if head.startswith(b"/annex/objects/") or b".git/annex/objects/" in head[:200]:
        return annex
    if head.startswith(b"version https://git-lfs"):
        return "its content is not fetched, it is a pointer of git-lfs: run `git lfs pull` in its folder"
    return None


def check_content(path):
    """Refuse what is no image yet or no longer, each with its own `ScanError`: placeholders, links, wrong endings."""
    if reason := not_fetched(path):
        raise ScanError(reason)
    if path.is_symlink() and not path.exists():
        raise ScanError("it is a link to nothing: correct the link, or name the file itself")
    if not path.is_file():
        raise ScanError("the file is missing")
    with open(path, "rb") as file:
        head = file.read(512)
    if not head:
        raise ScanError("it is empty (0 bytes), and so not a NIfTI file: copy or download it again")
    packed, name = head.startswith(b"\x1f\x8b"), path.name
    if packed and not name.lower().endswith(".gz"):
        raise ScanError(f"it is compressed by gzip, which its name does not say: rename it to {path.stem}.nii.gz")
    if not packed and name.lower().endswith(".gz"):
        if head[:4] in LENGTHS:
            raise ScanError(f"it is not compressed, though its name ends in .gz: rename it to {name[:-3]}")
        raise ScanError("it is not a NIfTI file: it is not even compressed, though its name ends in .gz")


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
        If the file is missing, not fetched by git-annex or git-lfs, no NIfTI, cut short, not 3D, holds values
        that are not finite, is constant, or has no usable affine.
    """
    data, affine, header = load_volume(path, max_voxels)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
        data = data.astype(np.float32, copy=False)
    low, high = data.min(), data.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ScanError("it holds values that are not finite, or beyond 3e38")
    if low == high:
        raise ScanError("all of its voxels have the same value")
    return Scan(data, affine, header)
