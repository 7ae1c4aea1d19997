"""A constant border of any value is seen as if it were zero."""

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from utils.scans.nifti import read_scan
from utils.scans.padding import fill_padding
from utils.scans.sagittal import slabs_of

RNG = np.random.default_rng(0)
TISSUE = ndimage.gaussian_filter(RNG.uniform(1, 900, (9, 60, 70)), (0, 2, 2)).round()
INSIDE = 450.25  # of the range of the tissue
VALUES = [-1024, -1, 1, INSIDE, 4095, 32767, 0.5, -3.4e38]


def rim(value, *widths):
    return np.pad(TISSUE, widths, constant_values=value)


def corners(value, turn):
    """Fill what a rotation in the sagittal plane, or a round field of view, leaves empty."""
    if turn:
        return ndimage.rotate(TISSUE, turn, (1, 2), reshape=False, order=0, cval=value)
    rows, columns = np.mgrid[-1:1:60j, -1:1:70j]
    return np.where(np.hypot(rows, columns) < 1, TISSUE, value)


BORDERS = {
    "all around": lambda v: rim(v, (2, 2), (5, 5), (5, 5)),
    "one voxel": lambda v: rim(v if abs(v) > 1000 else 0, (0, 0), (1, 1), (1, 1)),
    "above": lambda v: rim(v, (0, 0), (0, 0), (0, 20)),
    "front and back": lambda v: rim(v, (0, 0), (12, 9), (0, 0)),
    "rotated": lambda v: corners(v, 20),
    "round": lambda v: corners(v, 0),
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_the_value_of_a_border_makes_no_difference(border, value, tilt, tmp_path):
    affine = np.diag([4.0, 1.0, 0.9, 1.0])
    affine[1:3, 1:3] = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]) * [1.0, 0.9]
    slabs = []
    for filling in (0, value):
        data = BORDERS[border](filling).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / "a.nii")
        slabs.append(slabs_of(read_scan(tmp_path / "a.nii"))[0])
    np.testing.assert_array_equal(*slabs)
    assert slabs[0].max() == 1


def test_tissue_of_the_same_value_stays():
    data = rim(300, (0, 0), (4, 4), (4, 4))
    inside = np.zeros(data.shape, bool)
    inside[:, 5:-5, 5:-5] = True
    same = inside & (data == 300)
    assert same.any()
    assert (fill_padding(data, 0)[same] == 300).all()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(TISSUE, id="no border"),
        pytest.param(rim(INSIDE, (0, 0), (1, 1), (1, 1)), id="a narrow one of a tissue's value"),
        pytest.param(rim(TISSUE.max() + 1, (0, 0), (1, 1), (1, 1)), id="a narrow one of nearly such a value"),
        pytest.param(rim(0, (0, 0), (5, 5), (5, 5)), id="zeros"),
        pytest.param(np.broadcast_to(np.arange(1.0, 10)[:, None, None], (9, 6, 7)), id="each slice constant"),
        pytest.param(np.where(np.arange(9)[:, None, None] == 0, -7, TISSUE), id="an empty slice"),
    ],
)
def test_what_is_no_border_stays_as_it_is(data):
    assert fill_padding(data, 0) is data


def test_two_borders_around_each_other():
    data = np.pad(rim(0, (0, 0), (3, 3), (3, 3)), ((0, 0), (2, 2), (2, 2)), constant_values=-1024)
    np.testing.assert_array_equal(fill_padding(data, 0), rim(0, (0, 0), (5, 5), (5, 5)))
