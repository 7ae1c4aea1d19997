"""Trees, tables, splits and prepared data of every kind: used, or refused in a sentence; nothing lands elsewhere."""

import contextlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from test_prepare import DISCS, add_scan, prepare

import evaluate
import predict
import prepare_spinegeneric
from models import build_model
from utils.evaluation.scores import groups_of
from utils.inference.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from utils.scans.bids import find_scans, participants
from utils.scans.prepared import load_split, load_summary
from utils.scans.sample import load_sample
from utils.system.files import UserError, run, save_npz, save_text
from utils.training.runs import Training, save_last

NOBODY = 65534


@contextlib.contextmanager
def nobody():
    """Give up root's right to read and write everything, for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def open_folder():
    """Give a folder that everyone may enter and write to, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def test_folders_and_files_without_permission(open_folder, capsys):
    tree = open_folder / "tree"
    for subject in ("sub-1", "sub-2", "sub-3", "sub-4"):
        add_scan(tree, f"{subject}_T2w")
    prepare(tree, open_folder / "before")  # imports what it needs, from where nobody may not read
    (tree / "sub-2").chmod(0)
    (tree / "sub-3" / "anat" / "sub-3_T2w.nii.gz").chmod(0)
    (tree / "derivatives" / "labels" / "sub-4" / "anat").chmod(0)
    with nobody():
        rows, skipped = prepare(tree, open_folder / "out")
    said = capsys.readouterr().err
    assert "warning" in said and "sub-2/anat cannot be read (Permission denied)" in said
    assert [row["subject"] for row in rows] == ["sub-1"]
    assert skipped == {
        "sub-3_T2w": "image: it may not be read (permission denied)",
        "sub-4_T2w": "labels: it may not be read (permission denied)",
    }
    tree.chmod(0)
    with nobody(), pytest.raises(UserError, match="holds no scan|no scan of"):
        prepare(tree, open_folder / "other")
    assert "tree cannot be read (Permission denied)" in capsys.readouterr().err
    with nobody(), pytest.raises(SystemExit) as left:
        run(lambda: prepare(tree / "inside", open_folder / "third"))
    assert left.value.code == 2 and "Permission denied" in capsys.readouterr().err
    tree.chmod(0o755)


@pytest.mark.parametrize("main", [predict.main, prepare_spinegeneric.main])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("nowhere", "nowhere is no folder: give the root of the data set with --data"),
        ("tree/participants.tsv", "participants.tsv is no folder"),
        ("tree/sub-1", "sub-1 is the folder of a single subject: give the folder above it with --data"),
    ],
)
def test_what_is_no_root_of_a_tree(main, data, reason, tmp_path):
    add_scan(tmp_path / "tree", "sub-1_T2w")
    (tmp_path / "tree" / "participants.tsv").touch()
    (tmp_path / "tree" / "sub-1" / "sub-1_scans.tsv").touch()
    with pytest.raises(UserError, match=reason):
        main(["--data", str(tmp_path / data), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_tree_may_be_called_like_a_subject(tmp_path):
    add_scan(tmp_path / "sub-study", "sub-1_T2w")
    assert len(prepare(tmp_path / "sub-study", tmp_path / "out")[0]) == 1


def test_a_folder_that_may_not_be_written_to(open_folder):
    out = open_folder / "out"
    save_text(out / "a.txt", "old")
    out.chmod(0o555)
    with nobody(), pytest.raises(UserError, match="cannot be written .Permission denied.*another folder"):
        save_text(out / "a.txt", "new")
    assert (out / "a.txt").read_text() == "old" and [path.name for path in out.iterdir()] == ["a.txt"]
    add_scan(open_folder / "tree", "sub-1_T2w")
    with nobody(), pytest.raises(UserError, match="data/.lock cannot be written .Permission denied"):
        prepare(open_folder / "tree", out / "data")
    (out / "args.json").write_text("{}")
    with nobody(), pytest.raises(UserError, match="cannot be written"):
        save_last(out, Training({"log": [{"epoch": 1}]}, None, None, None, None))


def test_links_in_circles_and_to_nothing(tmp_path, capsys):
    tree = tmp_path / "tree"
    add_scan(tree, "sub-1_T2w")
    (tree / "sub-2").symlink_to("sub-2")
    (tree / "sub-3").symlink_to("nowhere")
    (tree / "sub-1" / "ses-1").symlink_to(tree)
    (tree / "sub-4" / "anat").mkdir(parents=True)
    (tree / "sub-4" / "anat" / "sub-4_T2w.nii.gz").symlink_to("sub-4_T2w.nii.gz")
    assert [scan.name for scan in find_scans(tree)] == ["sub-1_T2w", "sub-4_T2w"]
    assert "sub-2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "warned"),
    [
        (b"participant_id\tinstitution\nsub-1\n", False),  # a row cut short
        (b"\xef\xbb\xbfparticipant_id\tinstitution\nsub-1\tX\n", False),  # saved by a spreadsheet
        (b"participant_id\tinstitution\nsub-1\tX\tmore\tcells\n", False),
        (b"participant_id\tinstitution\nsub-1\t\xff\xfe\n", False),
        (b"", True), (b"\x00\x01\x02\xff" * 50, True), (b"name\tage\nsub-1\t30\n", True),
        (b"participant_id\n" + b'"' + b"x" * 200_000, True),
    ],
)  # fmt: skip
def test_a_broken_table_of_participants(content, warned, tmp_path, capsys):
    add_scan(tmp_path / "tree", "sub-1_T2w")
    (tmp_path / "tree" / "participants.tsv").write_bytes(content)
    records = participants(tmp_path / "tree")
    assert all(isinstance(value, str) for row in records.values() for key, value in row.items() if key)
    assert ("warning" in capsys.readouterr().err) == warned
    rows, _ = prepare(tmp_path / "tree", tmp_path / "out")
    assert len(rows) == 1 and (rows[0]["source"] == "X") == (b"\tX" in content)
    groups = groups_of(tmp_path / "out", load_split(tmp_path / "out", rows[0]["split"]), "contrast")
    assert groups == {"sub-1_T2w": "T2w"}


def test_scans_are_grouped_by_what_their_subjects_have_not_by_the_size_of_their_samples(tmp_path):
    for subject, height in ("sub-1", "180"), ("sub-2", "n/a"):
        add_scan(tmp_path / "tree", f"{subject}_T2w")
        table = tmp_path / "tree" / "participants.tsv"
        before = table.read_text() if table.exists() else "participant_id\theight\n"
        table.write_text(f"{before}{subject}\t{height}\n")
    rows, _ = prepare(tmp_path / "tree", tmp_path / "out")
    samples = [sample for split in {row["split"] for row in rows} for sample in load_split(tmp_path / "out", split)]
    groups = groups_of(tmp_path / "out", samples, "height")
    assert groups == {"sub-1_T2w": "180", "sub-2_T2w": "not stated"}
    with pytest.raises(UserError, match="no column 'width'"):
        groups_of(tmp_path / "out", samples, "width")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"train": ["sub-1"], "val": ["sub-1"]}', "names sub-1 twice"), ('{"train": [1], "val": ["1"]}', "1 twice"),
        ('{"train": "sub-1"}', "is no split"), ('{"train": {"sub-1": 1}}', "is no split"), ("[" * 5000, "is no split"),
        ('{"train": ["sub-9"], "test": ["../../x"]}', "no scan of"),
    ],
)  # fmt: skip
def test_splits_that_make_no_sense(content, reason, tmp_path):
    add_scan(tmp_path / "tree", "sub-1_T2w")
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(UserError, match=reason):
        prepare(tmp_path / "tree", tmp_path / "out", "--split-file", str(tmp_path / "split.json"))


def test_a_label_volume_with_ten_thousand_voxels_set(tmp_path):
    add_scan(tmp_path, "sub-1_T2w")
    path = add_scan(tmp_path, "sub-2_T2w")
    filled = np.zeros((9, 40, 80), np.uint8)
    filled.reshape(-1)[:10_000] = np.random.default_rng(0).integers(2, 26, 10_000)
    target = tmp_path / "derivatives" / "labels" / path.parent.relative_to(tmp_path)
    nibabel.save(nibabel.Nifti1Image(filled, np.eye(4)), target / "sub-2_T2w_label-discs_dlabel.nii.gz")
    rows, skipped = prepare(tmp_path, tmp_path / "out")
    assert [row["name"] for row in rows] == ["sub-1_T2w"]
    assert skipped["sub-2_T2w"] == "labels: level 2 is labelled in two places"


def test_a_name_in_another_encoding_is_prepared(tmp_path):
    name = os.fsdecode(b"sub-\xe9")
    add_scan(tmp_path / "tree", f"{name}_T2w")
    prepare_out = tmp_path / "out"
    with open(tmp_path / "split.json", "w") as file:
        json.dump({"train": [name]}, file)
    import prepare_spinegeneric

    flags = ["--data", tmp_path / "tree", "--out", prepare_out, "--split-file", tmp_path / "split.json"]
    prepare_spinegeneric.main(list(map(str, flags)))
    assert load_split(prepare_out, "train")[0].subject == name


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        """Touch the file."""
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_or_a_sample_is_not_executed(tmp_path):
    trap = Trap(tmp_path / "executed")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(trap))
    torch.save({"format": FORMAT, "state_dict": trap}, tmp_path / "zipped.pt")
    for name in ("plain.pt", "zipped.pt"):
        with pytest.raises(UserError, match="no checkpoint that can be read safely"):
            load_checkpoint(tmp_path / name)
    np.savez(tmp_path / "a.npz", image=np.array([trap], object))
    with pytest.raises(UserError, match="is no prepared sample"):
        load_sample(tmp_path / "a.npz")
    assert not (tmp_path / "executed").exists()


def test_a_checkpoint_that_lacks_parts_is_refused(tmp_path):
    save_checkpoint(tmp_path / "a.pt", {"format": FORMAT, "state_dict": {}})
    with pytest.raises(UserError, match="is not a checkpoint of train.py"):
        load_checkpoint(tmp_path / "a.pt")


def test_a_checkpoint_of_another_version_is_called_that(tmp_path):
    save_checkpoint(tmp_path / "a.pt", {"format": FORMAT - 1, "state_dict": {}})
    with pytest.raises(UserError, match="a.pt was written by another version of train.py: train again"):
        load_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"levels": [], "resolution": 1, "sigma": 4}',
                '{"levels": [2], "resolution": 0, "sigma": 4}', '{"levels": ["2"], "resolution": 1, "sigma": 4}'],
)  # fmt: skip
def test_prepared_data_that_says_nothing_is_refused(content, tmp_path):
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(UserError, match="holds no prepared data"):
        load_summary(tmp_path)
    (tmp_path / "samples.tsv").write_text("file\tsplit\nsamples/a.npz\ttrain\n")
    with pytest.raises(UserError, match="a row lacks one of file, name, split"):
        load_split(tmp_path, "train")


@pytest.fixture
def shelf(tmp_path):
    """Return a folder within others, to see what is written beside it."""
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    return tmp_path / "a" / "b" / "c"


def test_a_subject_called_like_a_folder_above_writes_nothing_there(shelf, tmp_path):
    evil = "../../x"
    add_scan(shelf / "tree", "sub-1_T2w")
    (shelf / "tree" / "participants.tsv").write_text(f"participant_id\tinstitution\n{evil}\tY\nsub-1\t{evil}\n")
    (shelf / "split.json").write_text(json.dumps({"train": ["sub-1"], "val": [evil]}))
    prepare(shelf / "tree", shelf / "out", "--split-file", str(shelf / "split.json"))
    sample = shelf / "out" / "samples" / "sub-1_T2w.npz"
    with np.load(sample) as stored:
        save_npz(sample, **{**stored, "name": np.array(evil), "subject": np.array(evil), "source": np.array(evil)})
    table = shelf / "out" / "samples.tsv"
    table.write_text(table.read_text().replace("\tsub-1_T2w\tsub-1\t", f"\t{evil}\t{evil}\t"))
    torch.manual_seed(0)
    model = {"name": "unet", "levels": 5, "stacks": 1, "blocks": 1, "features": 4, "in_channels": 1}
    weights = {"format": FORMAT, "model": model, "state_dict": build_model(**model).state_dict(), "data": None,
               "levels": list(range(21, 26)), "resolution": 1.0, "output": "logits", "prior": None, "epoch": 1,
               "args": {}}  # fmt: skip
    save_checkpoint(shelf / "w.pt", weights)
    (shelf / "list.txt").write_text(f"{evil}\nsub-1_T2w\n")
    flags = ["--weights", shelf / "w.pt", "--device", "cpu", "--out"]
    evaluate.main(list(map(str, ["--data", shelf / "out", "--split", "train", *flags, shelf / "scores"])))
    predict.main(list(map(str, ["--data", shelf / "tree", "--only", shelf / "list.txt", *flags, shelf / "labels"])))
    assert (shelf / "scores" / "report.html").exists() and (
        shelf / "labels" / "derivatives" / "disc-labels" / "report.html"
    ).exists()
    assert [path for path in tmp_path.rglob("*") if shelf not in path.parents] == [tmp_path / "a", shelf.parent, shelf]
    assert {path.name for path in shelf.iterdir()} == {
        "tree", "split.json", "out", "w.pt", "list.txt", "scores", "labels",
    }  # fmt: skip


def test_a_folder_removed_under_a_preparation_is_told(tmp_path, monkeypatch, capsys):
    import prepare_spinegeneric

    add_scan(tmp_path / "tree", "sub-1_T2w", discs=DISCS)
    write = prepare_spinegeneric.write

    def write_and_remove(args, *rest):
        shutil.rmtree(args.out)
        write(args, *rest)

    monkeypatch.setattr(prepare_spinegeneric, "write", write_and_remove)
    with pytest.raises(UserError, match="is no prepared sample: run prepare_spinegeneric.py again"):
        prepare(tmp_path / "tree", tmp_path / "out")


def test_labels_removed_under_a_prediction_are_told(tmp_path, monkeypatch, capsys):
    from test_inputs import OneDisc

    monkeypatch.setattr(predict, "load_labeller", lambda path, *_: OneDisc(path))
    add_scan(tmp_path / "tree", "sub-1_T2w", discs=None)
    summarise = predict.summarise

    def remove_and_summarise(args, *rest):
        shutil.rmtree(args.out)
        return summarise(args, *rest)

    monkeypatch.setattr(predict, "summarise", remove_and_summarise)
    with pytest.raises(SystemExit) as left:
        run(lambda: predict.main(["--data", str(tmp_path / "tree"), "--weights", "w", "--out", str(tmp_path / "out")]))
    said = capsys.readouterr().err
    assert left.value.code == 2 and said.startswith("error: ") and "was removed" in said and said.count("\n") == 1


def test_a_table_that_is_not_fetched_is_reported(tmp_path, capsys):
    add_scan(tmp_path / "tree", "sub-1_T2w")
    (tmp_path / "tree" / "participants.tsv").symlink_to(".git/annex/objects/aa/bb/x")
    assert participants(tmp_path / "tree") == {}
    said = capsys.readouterr().err
    assert "participants.tsv is not used (it is a link to nothing: fetch its content first)" in said


@pytest.mark.parametrize("flags", [[], ["--only-corrected"]])
@pytest.mark.parametrize("content", [None, "/annex/objects/x\n"])
def test_labels_whose_sidecar_is_not_fetched_are_left_out(content, flags, tmp_path):
    for name in ("sub-1_T2w", "sub-2_T2w"):
        add_scan(tmp_path / "tree", name)
    folder = tmp_path / "tree" / "derivatives" / "labels"
    sidecar = folder / "sub-1" / "anat" / "sub-1_T2w_label-discs_dlabel.json"
    if content is None:
        sidecar.symlink_to("../.git/annex/objects/aa/bb/x")
    else:
        sidecar.write_text(content)
    other = folder / "sub-2" / "anat" / "sub-2_T2w_label-discs_dlabel.json"
    other.write_text('\ufeff{"Review": {"Status": "good"}}', encoding="utf-8")
    rows, skipped = prepare(tmp_path / "tree", tmp_path / "out", *flags)
    assert [row["name"] for row in rows] == ["sub-2_T2w"]
    reason = f"labels: of its sidecar: its content is not fetched: run `git annex get {sidecar.name}` in its folder"
    assert skipped == {"sub-1_T2w": reason}


def test_flags_by_which_no_scan_is_left_do_not_undo_a_preparation(tmp_path):
    add_scan(tmp_path / "tree", "sub-1_T2w")
    prepare(tmp_path / "tree", tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    for flags, reason in (
        (["--contrasts", "t2w"], "no sub-.* of these contrasts"), (["--only-corrected"], "reviewer"),
        (["--levels", "2-3"], "none of its discs is among"), (["--max-voxels", "10"], "more than --max-voxels"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=f"can be used .*{reason}.*; .*out stays as it was"):
            prepare(tmp_path / "tree", tmp_path / "out", *flags)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before


def test_two_preparations_into_one_folder_at_the_same_time(tmp_path, monkeypatch):
    add_scan(tmp_path / "tree", "sub-1_T2w")
    write = prepare_spinegeneric.write
    command = [sys.executable, "prepare_spinegeneric.py", "--data", tmp_path / "tree", "--out", tmp_path / "out"]

    def write_with_another(*arguments):
        other = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
        assert other.returncode == 2 and "out is in use by a preparation (process " in other.stderr
        write(*arguments)

    monkeypatch.setattr(prepare_spinegeneric, "write", write_with_another)
    rows, _ = prepare(tmp_path / "tree", tmp_path / "out")
    assert len(rows) == 1 and not (tmp_path / "out" / ".lock").exists()
