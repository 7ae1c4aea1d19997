"""One scan labelled from Python: places, flags, another numbering, and what cannot be read."""

import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine
from spots import BrightSpots, spots

from utils.inference.scan import label_scan
from utils.inference.transitional import other_levels
from utils.scans.nifti import ScanError


def test_one_scan_from_python(tmp_path):
    data, affine, world = spots((3.0, 0.8, 0.9), 0.3)
    nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / "a.nii.gz")
    found = label_scan(tmp_path / "a.nii.gz", BrightSpots("spots"))
    assert found.levels.tolist() == [23, 24, 25] and found.names == ["L3-L4", "L4-L5", "L5-S1"]
    np.testing.assert_allclose(found.world, world, atol=1.5)
    np.testing.assert_allclose(apply_affine(affine, found.voxels), found.world, atol=1e-6)
    assert found.confidence.tolist() == [1, 1, 1] and found.margin == 5 and found.flags == []
    with pytest.raises(ScanError, match="missing"):
        label_scan(tmp_path / "b.nii.gz", BrightSpots("spots"))
    with pytest.raises(ScanError, match="--max-voxels"):
        label_scan(tmp_path / "a.nii.gz", BrightSpots("spots"), max_voxels=1000)


@pytest.mark.parametrize(
    ("levels", "shift", "other"),
    [
        ([23, 24, 25], 1, {"L3-L4": "L4-L5", "L4-L5": "L5-S1"}),  # there is none below L5-S1
        ([1, 2, 3], -1, {"C1-C2": "above C1", "C2-C3": "C1-C2"}),
        ([3, 4, 5], 0, {}),
    ],
)
def test_another_numbering_stays_within_the_levels(levels, shift, other, tmp_path):
    class Shifted(BrightSpots):
        def label(self, slabs, offsets):
            found = super().label(slabs, offsets)
            found.levels, found.other_levels = np.array(levels), other_levels(np.array(levels), shift, None)
            return found

    data, affine, _ = spots((1.0, 1.0, 1.0), 0.0)
    nibabel.save(nibabel.Nifti1Image(data, affine), tmp_path / "a.nii.gz")
    assert label_scan(tmp_path / "a.nii.gz", Shifted("spots")).other_numbering == other


def test_flags_of_a_doubtful_scan_from_python(tmp_path):
    class Doubtful(BrightSpots):
        def label(self, slabs, offsets):
            found = super().label(slabs, offsets)
            found.confidence, found.margin = np.array([0.9, 0.9, 0.4]), 1.0
            return found

    data, affine, _ = spots((0.8, 4.0, 0.8), 0.0)
    image = nibabel.Nifti1Image(data, affine)
    image.set_qform(np.diag([0.8, 4.0, 0.8, 1.0]), 1)
    nibabel.save(image, tmp_path / "a.nii.gz")
    found = label_scan(tmp_path / "a.nii.gz", Doubtful("spots"))
    assert found.flags == ["two positions", "not sagittal", "low confidence", "level uncertain"]
