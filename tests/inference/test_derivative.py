"""Labels of a BIDS tree are a derivative in the tree's layout, and what others wrote there stays as it is."""

import csv
import json
import re
import shutil

import nibabel
import pytest
from spots import BrightSpots, spots

import predict


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Return a BIDS tree with a T1w and a T2w image of one subject."""
    monkeypatch.setattr(predict, "load_labeller", lambda path, *_: BrightSpots(path))
    data, affine, _ = spots((1.0, 1.0, 1.0), 0.0)
    anat = tmp_path / "tree" / "sub-1" / "anat"
    anat.mkdir(parents=True)
    for contrast in ("T1w", "T2w"):
        nibabel.save(nibabel.Nifti1Image(data + (contrast == "T1w"), affine), anat / f"sub-1_{contrast}.nii.gz")
    (tmp_path / "tree" / "dataset_description.json").write_text('{"Name": "mine"}')
    (tmp_path / "tree" / "scans.csv").write_text("mine")
    return tmp_path / "tree"


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("out", ["tree", "elsewhere"])
def test_labels_of_a_tree_are_a_bids_derivative(out, tree, tmp_path):
    before, out = files_of(tree), tmp_path / out
    assert predict.main(["--data", str(tree), "--weights", "spots", "--out", str(out)]) == 0
    root = out / "derivatives" / "disc-labels"
    written = set(files_of(out)) - (set(before) if out == tree else set())
    assert {path.split("/")[0] for path in written} == {"derivatives"}
    assert before == {path: files_of(tree)[path] for path in before}
    described = json.loads((root / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert (root / described["DatasetLinks"]["raw"]).resolve() == tree
    assert "*_dlabel.nii.gz" in (root / ".bidsignore").read_text().split()
    for contrast in ("T1w", "T2w"):
        sidecar = json.loads((root / "sub-1" / "anat" / f"sub-1_{contrast}_label-discs_dlabel.json").read_text())
        assert sidecar["Sources"] == [f"bids:raw:sub-1/anat/sub-1_{contrast}.nii.gz"]
        assert sidecar["SpatialReference"] == "orig"
    for kind, rows in (("discs", 6), ("scans", 2)):
        with open(root / f"{kind}.tsv", newline="") as file:
            lines = list(csv.reader(file, delimiter="\t"))
        assert len(lines) == 1 + rows and all(cell for line in lines for cell in line)  # n/a where nothing is known
        columns = json.loads((root / f"{kind}.json").read_text())
        assert list(columns) == lines[0] and all(column["Description"] for column in columns.values())
    content = files_of(out)
    assert predict.main(["--data", str(tree), "--weights", "spots", "--out", str(out)]) == 0
    assert files_of(out) == content


def test_pybids_tells_the_labels_of_both_contrasts_apart(tree):
    bids = pytest.importorskip("bids", reason="pybids is not installed")
    assert predict.main(["--data", str(tree), "--weights", "spots", "--out", str(tree)]) == 0
    derivative = tree / "derivatives" / "disc-labels"
    layout = bids.BIDSLayout(tree, validate=False)
    layout.add_derivatives(derivative, config=["bids", "derivatives", str(derivative / "pybids.json")])
    for contrast in ("T1w", "T2w"):
        (label,) = layout.get(contrast=contrast, suffix="dlabel", extension=".nii.gz")
        assert label.filename == f"sub-1_{contrast}_label-discs_dlabel.nii.gz"
        assert label.get_metadata()["Sources"] == [f"bids:raw:sub-1/anat/sub-1_{contrast}.nii.gz"]


@pytest.mark.parametrize("name", ["sub-1_T2w", "sub-1_ses-a_acq-sag_T1w", "sub-1_run-2_MTw"])
def test_the_contrast_of_a_label_is_an_entity_for_pybids(name, tree):
    assert predict.main(["--data", str(tree), "--weights", "spots", "--out", str(tree)]) == 0
    (entity,) = json.loads((tree / "derivatives" / "disc-labels" / "pybids.json").read_text())["entities"]
    for ending in (".nii.gz", ".json"):
        path = f"derivatives/disc-labels/sub-1/anat/{name}_label-discs_dlabel{ending}"
        assert re.search(entity["pattern"], path)[1] == name.split("_")[-1]


@pytest.mark.parametrize("file", ["dataset_description.json", ".bidsignore", "scans.tsv", "discs.json"])
def test_a_derivative_of_others_is_left_as_it_is(file, tree):
    root = tree / "derivatives" / "disc-labels"
    root.mkdir(parents=True)
    (root / file).write_text('{"GeneratedBy": [{"Name": "other"}]}')
    with pytest.raises(predict.UserError, match="not written by this software"):
        predict.main(["--data", str(tree), "--weights", "spots", "--out", str(tree)])
    assert [path.name for path in root.iterdir()] == [file]


def test_another_tree_with_the_same_names_does_not_take_the_labels_of_the_first(tree, tmp_path, capsys):
    flags = ["--weights", "spots", "--out", str(tmp_path / "out")]
    assert predict.main(["--data", str(tree), *flags]) == 0
    other = tmp_path / "other"
    shutil.copytree(tree, other)
    data, affine, _ = spots((2.0, 1.0, 1.0), 0.0)
    nibabel.save(nibabel.Nifti1Image(data, affine), other / "sub-1" / "anat" / "sub-1_T2w.nii.gz")
    assert predict.main(["--data", str(other), *flags]) == 1  # the copy of the T1w image is known
    said = capsys.readouterr().err
    assert "sub-1_T2w_label-discs_dlabel.nii.gz is of another scan" in said and "sub-1_T1w" not in said


def test_of_two_images_of_one_name_the_first_is_labelled(tree, tmp_path, capsys):
    anat, flags = tree / "sub-1" / "anat", ["--data", str(tree), "--weights", "spots", "--out", str(tmp_path / "out")]
    nibabel.load(anat / "sub-1_T2w.nii.gz").to_filename(anat / "sub-1_T2w.nii")
    assert predict.main(flags) == 0
    said = capsys.readouterr()
    warning = "warning: images with the name of another one in their folder are left out: 1, such as sub-1_T2w.nii.gz: "
    assert warning in said.err and "2 of 2 scans labelled" in said.out
    sidecar = tmp_path / "out/derivatives/disc-labels/sub-1/anat/sub-1_T2w_label-discs_dlabel.json"
    assert json.loads(sidecar.read_text())["Sources"] == ["bids:raw:sub-1/anat/sub-1_T2w.nii"]
    (tmp_path / "only.txt").write_text("sub-1_T1w")
    assert predict.main([*flags, "--only", str(tmp_path / "only.txt")]) == 0
    assert "left out" not in capsys.readouterr().err
