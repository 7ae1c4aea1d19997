"""A scan and its labels become a sample: checks that both fit each other, and the slices with their discs."""

import nibabel
import numpy as np

from utils.discs import FIRST, name
from utils.scans.nifti import SAME_PLACE_MM, ScanError, corners_of, farthest_apart
from utils.scans.sagittal import normalise, sagittal, slabs_of
from utils.scans.sample import UNKNOWN, Sample, level_states


def labelled_sample(scan, image, discs, source, levels, resolution):
    """Make the sample of a scan.

    Labels of levels that are not asked for, and of the joint above C1, which is no disc, cost no more than themselves
    if they are wrong; otherwise they help to find the plane of the discs and the edges of what was labelled.

    Parameters
    ----------
    scan : utils.scans.bids.ScanFile
    image : utils.scans.nifti.Scan
    discs : utils.scans.labels.Discs
    source : str
    levels : sequence of int
        The levels that are asked for.
    resolution : float
        Size of a pixel in mm.

    Returns
    -------
    sample : Sample
    notes : list of str
        What was left out of the labels.

    Raises
    ------
    ScanError
        If image and labels do not fit each other, or a level that is asked for cannot be used.
    """
    check_same_space(discs, image)
    inside = _inside(discs.world, image)
    faults = {**discs.faults, **{int(level): _outside(level, place, image) for level, place in
                                 zip(discs.levels[~inside], discs.world[~inside], strict=True)}}  # fmt: skip
    needed = set(levels) - {FIRST}
    for level in sorted(needed & set(faults)):
        raise ScanError(faults[level])
    known, world = discs.levels[inside], discs.world[inside]
    if faults and not known.size:
        raise ScanError(faults[min(faults)])
    if not np.isin(known, levels).any():
        raise ScanError("none of its discs is among the levels asked for")
    images, plane = sagittal(image, resolution, through=world)
    points, across = plane.to_pixel(world)
    kept = in_order(points[:, 0], np.isin(known, list(needed)))
    if (np.diff(points[kept, 0]) <= 0).any():
        below = int(np.argmax(np.diff(points[kept, 0]) <= 0))
        raise ScanError(f"{name(known[kept][below + 1])} does not lie below {name(known[kept][below])}")
    if not kept.all():
        faults.update({int(level): f"level {level} is out of order" for level in known[~kept]})
        known, world = known[kept], world[kept]
        if not np.isin(known, levels).any():
            raise ScanError("none of its discs is among the levels asked for")
        images, plane = sagittal(image, resolution, through=world)
        points, across = plane.to_pixel(world)
    states = level_states(points, known, plane.shape, plane.spacing)
    wanted = np.isin(known, levels)
    states[known[~wanted]] = UNKNOWN  # it is in view, but has no point that a prediction could be compared with
    states[list(faults)] = UNKNOWN
    # What a prediction sees, which has no labels to find the plane by.
    slabs, offsets, middle = slabs_of(image, resolution)
    offsets = offsets + (middle.origin - plane.origin) @ plane.across
    sample = Sample(
        scan.name, scan.subject, scan.contrast, source, normalise(images[0]), points[wanted], known[wanted], states,
        across[wanted], plane, slabs, offsets,
    )  # fmt: skip
    notes = [faults[level] for level in sorted(faults)]
    if discs.others:
        notes.append(f"values that are no level: {', '.join(map(str, discs.others[:5]))}")
    return sample, notes


def check_same_space(discs, image):
    """Refuse labels on a grid of the image's shape that lies elsewhere: one of the two headers is wrong.

    Grids of different shapes are compared by the labels alone, which must lie inside the image.

    Raises
    ------
    ScanError
        If a corner of the two grids lies more than half a millimetre apart.
    """
    if discs.shape != image.data.shape:
        return
    away = farthest_apart(discs.shape, discs.affine, image.affine)
    if away > SAME_PLACE_MM:
        raise ScanError(
            f"labels and image have the same grid but lie up to {away:.3g} mm apart: the labels have "
            f"{_position(discs.affine)}, the image {_position(image.affine)}"
        )


def _position(affine):
    sizes = "x".join(f"{size:.3g}" for size in np.linalg.norm(affine[:3, :3], axis=0))
    return f"voxels of {sizes} mm in {''.join(nibabel.aff2axcodes(affine))} from {_place(affine[:3, 3])}"


def _place(world):
    return "({}) mm".format(", ".join(f"{x:.1f}" for x in world))


def _inside(world, image):
    """Return which places (N,) lie inside an image, or on its edge."""
    voxels = image.to_voxel(world)
    return ((voxels > -1) & (voxels < image.data.shape)).all(1)


def _outside(level, place, image):
    """Return a sentence that says where a label and the image lie."""
    reach = corners_of(image.data.shape, image.affine)
    return (
        f"{name(level)} at {_place(place)} lies outside of the image, which reaches from {_place(reach.min(0))} to "
        f"{_place(reach.max(0))}"
    )


def in_order(rows, needed):
    """Return which labels (N,) to keep: all that are needed, and of the others those that lie in order with them.

    Parameters
    ----------
    rows : (N,) array
        Ascending from top to bottom if the labels are right.
    needed : (N,) bool array

    Returns
    -------
    (N,) bool array
    """
    kept = needed.copy()
    for index in np.flatnonzero(~needed):
        kept[index] = True
        kept[index] = not (np.diff(rows[kept]) <= 0).any()
    return kept
