"""Labels that lie elsewhere than their image are refused; a wrong label that is not needed costs only itself."""

import nibabel
import numpy as np
import pytest
from test_prepare import DISCS, add_scan, prepare

from utils.scans.prepared import load_split
from utils.scans.sample import OUTSIDE, UNKNOWN

NAME = "sub-1_T2w"


def relabel(tree, discs=DISCS, affine=None, shape=(9, 40, 80)):
    """Write other labels for the scan of a tree."""
    labels = np.zeros(shape, np.uint8)
    for level, voxel in discs.items():
        labels[voxel] = level
    target = tree / "derivatives" / "labels" / "sub-1" / "anat" / f"{NAME}_label-discs_dlabel.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4) if affine is None else affine), target)


def shifted(x=0.0, y=0.0, z=0.0):
    affine = np.eye(4)
    affine[:3, 3] = x, y, z
    return affine


def flipped(origin):
    affine = np.diag([-1.0, 1, 1, 1])
    affine[0, 3] = origin
    return affine


@pytest.mark.parametrize(
    ("affine", "reason"),
    [
        (shifted(x=500), "up to 500 mm apart"), (shifted(y=-500), "up to 500 mm apart"), (shifted(z=2), "up to 2 mm"),
        (flipped(0), "the labels have voxels of 1x1x1 mm in LAS from (0.0, 0.0, 0.0) mm, the image voxels of 1x1x1 mm "
         "in RAS from (0.0, 0.0, 0.0) mm"), (flipped(8), "up to 8 mm apart"),
        (np.diag([0.8, 0.8, 0.8, 1]), "the labels have voxels of 0.8x0.8x0.8 mm"),
    ],
)  # fmt: skip
def test_a_grid_of_the_same_shape_must_lie_where_the_image_does(affine, reason, tmp_path):
    add_scan(tmp_path / "tree", "sub-0_T2w")
    add_scan(tmp_path / "tree", NAME)
    relabel(tmp_path / "tree", affine=affine)
    rows, skipped = prepare(tmp_path / "tree", tmp_path / "out")
    assert [row["name"] for row in rows] == ["sub-0_T2w"]
    assert skipped[NAME].startswith("labels: labels and image have the same grid") and reason in skipped[NAME]


@pytest.mark.parametrize(
    "affine", [np.eye(4), shifted(0.01, -0.01, 0.01), np.diag([1.00001, 0.99999, 1, 1]), shifted(1e-6)]
)
def test_rounding_of_headers_passes(affine, tmp_path):
    add_scan(tmp_path / "tree", NAME)
    relabel(tmp_path / "tree", affine=affine)
    assert len(prepare(tmp_path / "tree", tmp_path / "out")[0]) == 1


def test_another_grid_that_overlaps_is_used(tmp_path):
    add_scan(tmp_path / "tree", NAME)
    relabel(tmp_path / "tree", {21: (2, 10, 30), 22: (2, 11, 20)}, np.diag([2.0, 2, 2, 1]), (6, 22, 42))
    prepare(tmp_path / "tree", tmp_path / "out", "--split", "1", "0", "0")
    sample = load_split(tmp_path / "out", "train")[0]
    # World (4, 20, 60) and (4, 22, 40): rows 79 - 60 and 79 - 40, columns 39 - 20 and 39 - 22.
    np.testing.assert_allclose(sample.points, [[19, 19], [39, 17]], atol=1e-5)


@pytest.mark.parametrize(
    "affine", [shifted(x=-6), shifted(x=6), shifted(y=500), shifted(z=-90), flipped(2), np.diag([1, 1, 3.0, 1])]
)
def test_labels_on_another_grid_must_lie_inside_the_image(affine, tmp_path):
    """Left-right as well, which no slice shows: the image reaches from x = 0 to 8 mm."""
    add_scan(tmp_path / "tree", "sub-0_T2w")
    add_scan(tmp_path / "tree", NAME)
    relabel(tmp_path / "tree", affine=affine, shape=(10, 41, 81))
    _, skipped = prepare(tmp_path / "tree", tmp_path / "out")
    assert "lies outside of the image, which reaches from (0.0, 0.0, 0.0) mm to (8.0, 39.0, 79.0) mm" in skipped[NAME]


@pytest.mark.parametrize(
    ("discs", "note"),
    [
        ({**DISCS, 2: (4, 20, 10)}, "level 2 is out of order"), ({**DISCS, 1: (4, 20, 10)}, "level 1 is out of order"),
        ({**DISCS, 26: (4, 20, 5), 27: (4, 20, 2)}, "values that are no level: 26, 27"),
        ({**DISCS, 24: (4, slice(20, 40), 5)}, "level 24 is a label 20 mm long"),
        ({**DISCS, 20: (slice(0, 9, 8), 20, 70)}, "level 20 is labelled in two places"),
        ({**DISCS, 20: (4, 20, 70)}, ""), (DISCS, ""),
    ],
)  # fmt: skip
def test_a_wrong_label_that_is_not_asked_for_costs_only_itself(discs, note, tmp_path):
    add_scan(tmp_path / "tree", NAME)
    relabel(tmp_path / "tree", DISCS)
    flags = ["--levels", "21-23", "--split", "1", "0", "0"]
    prepare(tmp_path / "tree", tmp_path / "right", *flags)
    relabel(tmp_path / "tree", discs)
    (row,), _ = prepare(tmp_path / "tree", tmp_path / "out", *flags)
    assert note in row["note"] and bool(note) == bool(row["note"]) and row["levels"] == "21,22,23"
    right, sample = (load_split(tmp_path / folder, "train")[0] for folder in ("right", "out"))
    np.testing.assert_array_equal(sample.points, right.points)
    np.testing.assert_array_equal(sample.image, right.image)


def test_the_joint_above_c1_costs_only_itself_though_it_is_asked_for(tmp_path):
    add_scan(tmp_path / "tree", NAME, {1: (4, 20, 10), 2: (4, 20, 60), 3: (4, 20, 43)})
    (row,), _ = prepare(tmp_path / "tree", tmp_path / "out", "--levels", "1-25", "--split", "1", "0", "0")
    assert (row["levels"], row["note"]) == ("2,3", "level 1 is out of order")
    sample = load_split(tmp_path / "out", "train")[0]
    assert sample.states[1] == UNKNOWN and sample.states[25] == OUTSIDE


@pytest.mark.parametrize(
    ("discs", "reason"),
    [
        ({**DISCS, 24: (4, 20, 30)}, "L4-L5 does not lie below L3-L4"),
        ({**DISCS, 24: (4, slice(20, 40), 5)}, "level 24 is a label 20 mm long"),
        ({**DISCS, 24: (4, 20, slice(2, 7, 2))}, "level 24 is labelled in two places"),
        ({26: (4, 20, 5)}, "holds 26, which is no level"), ({20: (4, 20, 5)}, "none of its discs"),
        ({1: (4, 20, 10), 20: (4, 20, 5)}, "none of its discs"),
        ({1: (4, 20, slice(10, 61, 10))}, "level 1 is labelled in two places"),
    ],
)  # fmt: skip
def test_a_wrong_label_that_is_asked_for_costs_the_scan(discs, reason, tmp_path):
    add_scan(tmp_path / "tree", "sub-0_T2w")
    add_scan(tmp_path / "tree", NAME)
    relabel(tmp_path / "tree", discs)
    rows, skipped = prepare(tmp_path / "tree", tmp_path / "out", "--levels", "21-25")
    assert reason in skipped[NAME] and skipped[NAME].startswith("labels: ")
    assert [row["name"] for row in rows] == ["sub-0_T2w"]
