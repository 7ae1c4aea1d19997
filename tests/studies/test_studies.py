"""The comparisons: their splits, flags, tables and mistakes; the trainings themselves are those of train.py."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import train
from models import build_model
from studies import few_shot, folds, lateral, networks, non_spine, sheet, transitional
from tests.builders import lumbar
from tests.predicted import FixedLabels, save_scan
from tests.trainings import prepared
from utils.inference.labeller import Prediction
from utils.scans.nifti import read_scan
from utils.synthesis.anatomy import generate_anatomy
from utils.system.files import UserError, save_table

RESULTS = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")


def test_every_subject_is_tested_once_and_never_trained_on_in_its_fold():
    subjects = [[f"s{fold}{index}" for index in range(5)] for fold in range(3)]
    splits = [folds.split_of(subjects, index, {}) for index in range(3)]
    assert [split["test"] for split in splits] == subjects
    assert splits[2]["val"] == ["s02", "s03", "s04"]  # of the first fold: the last is followed by it
    participant = {"s00": "p", "s04": "p"}  # they stay together: s00 is not trained on beside s04
    assert folds.split_of(subjects, 2, participant)["val"] == ["s00", "s02", "s03", "s04"]
    for split in splits:
        parts = [set(split[part]) for part in ("train", "val", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 15


def test_folds_that_part_a_participant_are_an_error(tmp_path):
    table = "participant_id\tsame_person_group\nsub-a\tp\nsub-b\tp\n"
    (tmp_path / "participants.tsv").write_text(table)
    (tmp_path / "folds.json").write_text('[["sub-a"], ["sub-b"]]')
    with pytest.raises(UserError, match="puts sub-a into fold 1 and sub-b into fold 2, who are the same participant"):
        folds.main(["--data", str(tmp_path), "--folds", str(tmp_path / "folds.json"), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("content", ["", "{}", "[]", '[["a"]]', '["a", "b"]', '[["a"], []]', '[["a", ["b"]], ["c"]]'])
def test_folds_that_cannot_be_used_are_an_error(content, tmp_path):
    (tmp_path / "folds.json").write_text(content)
    with pytest.raises(UserError, match="holds no folds: write JSON with two or more lists"):
        folds.main(["--data", "x", "--folds", str(tmp_path / "folds.json"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('[["sub-1", "sub-2"], ["sub-1"]]', "folds.json names sub-1 twice: keep one of the two"),
        ('[["sub-1", "sub-2"], ["1"]]', "folds.json names sub-1 twice, once as 1: keep one of the two"),
        ('[["sub-1"], ["sub-2"]]', "folds.json leaves none to train on for fold 1: write larger folds, or more"),
    ],
)
def test_folds_that_cannot_be_trained_on_are_an_error_before_anything_is_prepared(content, reason, tmp_path):
    for subject in ("sub-1", "sub-2"):
        (tmp_path / subject / "anat").mkdir(parents=True)
        (tmp_path / subject / "anat" / f"{subject}_T2w.nii.gz").touch()
    (tmp_path / "folds.json").write_text(content)
    with pytest.raises(UserError, match=reason):
        folds.main(["--data", str(tmp_path), "--folds", str(tmp_path / "folds.json"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_all_folds_are_prepared_and_checked_before_the_first_training(tmp_path, monkeypatch):
    made = []

    def prepare(tree, out, split, levels):
        made.append(out.name)
        rows = [("file", "name", "contrast", "split"), ("x.npz", "sub-1_T2w", "T2w", "test")]
        save_table(out / "samples.tsv", rows, "\t")
        return out

    def train_first(data, out, flags):
        made.append(out.name)
        raise RuntimeError("enough")

    monkeypatch.setattr(folds, "prepared", prepare)
    monkeypatch.setattr(folds, "trained", train_first)
    monkeypatch.setattr(folds, "load_split", lambda *_: SimpleNamespace(without_pixels=lambda: [lumbar()]))
    (tmp_path / "folds.json").write_text('[["a"], ["b"], ["c"]]')
    flags = ["--data", "x", "--folds", str(tmp_path / "folds.json"), "--out", str(tmp_path / "out")]
    with pytest.raises(UserError, match="data0 has no column 'nonsense' with values: give another one"):
        folds.main([*flags, "--by", "nonsense"])
    with pytest.raises(RuntimeError, match="enough"):
        folds.main([*flags, "--by", "contrast"])
    assert made == ["data0", "data0", "data1", "data2", "fold0"]


def test_from_scratch_the_network_has_the_shape_of_the_weights_to_start_from():
    scratch, joint = few_shot.starts_of((21, 22)).values()
    assert scratch[0][:4:2] == ["--stacks", "--features"] and scratch[1] == (21, 22)
    assert joint[0][0] == "--init" and "--synthetic" in joint[0] and len(joint[1]) == 24


def test_sizes_and_splits_of_few_shot_training_are_checked_before_anything_is_prepared(tmp_path):
    path = tmp_path / "split.json"
    path.write_text('\ufeff{"train": ["a", "b"], "val": ["c"], "test": ["d"]}', encoding="utf-8")  # from Windows
    assert few_shot.read_split(path, 2) == {"train": ["a", "b"], "val": ["c"], "test": ["d"]}
    flags = ["--data", "x", "--split-file", str(path), "--out", str(tmp_path / "out")]
    with pytest.raises(UserError, match="^--sizes 3: .*split.json has 2 subjects to train on, so give no more$"):
        few_shot.main([*flags, "--sizes", "3", "1"])
    path.write_text('{"val": ["c"], "test": ["d"]}')
    with pytest.raises(UserError, match="split.json has no subjects under 'train': add some"):
        few_shot.main(flags)
    assert not (tmp_path / "out").exists()


def test_spread_over_seeds_by_hand():
    scores = [{"identified": share, "fp_rate": 0.25, "dtt_mean": 2.0} for share in (0.5, 0.7)]
    assert networks.cells(scores) == ["60.0 (14.14)", "25.0", "2.00"]  # 10 percent points over the root of 1/2
    nothing = {"identified": float("nan"), "fp_rate": float("nan"), "dtt_mean": float("nan")}
    assert networks.cells([nothing]) == ["-", "-", "-"]


def test_a_table_of_networks_for_each_test_set(tmp_path):
    one = {"identified": 0.5, "fp_rate": 0.0, "dtt_mean": 1.0, "n_true": 20}
    scores = {("A", "U-Net", True): [one], ("A", "U-Net", False): [{**one, "identified": 0.25}]}
    scores = {(tmp_path / test, *rest): values for (test, *rest), values in scores.items()}
    scores.update({(tmp_path / "B", *key[1:]): values for key, values in list(scores.items())})
    text = networks.tables_of([tmp_path / "A", tmp_path / "B"], scores, {"U-Net": 0.484})
    assert text.count("| U-Net | 0.48 M | 1 | 50.0 | 0.0 | 1.00 | 25.0 | 0.0 | 1.00 |") == 2
    assert text.startswith("A, 20 discs\n") and "\nB, 20 discs\n" in text


def test_the_networks_compared_are_of_one_size():
    for flags in networks.NETWORKS.values():
        args = train.build_parser().parse_args(["--out", "out", *flags])
        shape = {key: value for key in ("stacks", "features") if (value := getattr(args, key))}
        network = build_model(args.model, 25, **shape)
        assert 0.39e6 < sum(parameter.numel() for parameter in network.parameters()) < 0.5e6


def test_the_subjects_of_the_lateral_study_are_curved():
    _, anatomy = next(lateral.curved_subjects())
    assert np.ptp(anatomy.shift) >= lateral.CURVED_MM


def predicted(confidence):
    values = np.array(confidence, float)
    count = len(values)
    fields = dict.fromkeys(Prediction.__dataclass_fields__)
    return Prediction(**{**fields, "levels": np.arange(count) + 21, "confidence": values})


def test_a_row_of_transitional_spines_by_hand():
    fields = {"margin": 9.0, "other_levels": {21: 22}, "level_confidence": 0.5, "vertebrae": None}
    flagged = dataclasses.replace(predicted([0.9] * 4), **fields)
    confident, other = (dataclasses.replace(flagged, other_levels={}, level_confidence=chance) for chance in (0.9, 0.7))
    scans = [(flagged, False), (confident, True), (confident, False), (other, False)]
    row = transitional.row_of("spines", "lumbar", scans)
    assert row == ["spines", "lumbar", 4, "25.0 (1/4)", "25.0 (1/4)", "25.0 (1/4)"]
    assert f"\n| {' | '.join(transitional.HEAD)} |\n" in RESULTS


def test_views_of_transitional_spines_show_the_sacrum_and_what_is_above():
    anatomy = generate_anatomy(np.random.default_rng(0), 6)
    (top, bottom), (high, low) = (transitional.view_of(view, anatomy) for view in transitional.VIEWS)
    rows = anatomy.points[:, 0]
    assert bottom == low > rows[25] and high < rows[2] < top < rows[22]


def test_a_row_of_non_spine_images_by_hand():
    row = non_spine.row_of("noise", [predicted([]), predicted([0.95, 0.5, 0.9, 0.1])])
    assert row == ["noise", "50.0 (1/2)", "2.0", "50.0 (2/4)", "0.95"]
    assert non_spine.row_of("blank", [predicted([])]) == ["blank", "100.0 (1/1)", "0.0", "-", "-"]


@pytest.mark.parametrize("codes", ["PIR", "ASL", "LPS"])
def test_axial_images_are_the_same_whatever_the_orientation_of_the_file(codes, tmp_path):
    images = []
    for name in ("RAS", codes):
        save_scan(tmp_path / f"{name}.nii", name)
        images.append(non_spine.axial(read_scan(tmp_path / f"{name}.nii"), 3))
    assert images[0].shape == (3, 64, 72)  # 12 voxels of 3 mm, of which 64 pixels are made, and 80 of 0.9 mm
    np.testing.assert_allclose(*images, atol=1e-6)


def test_the_table_of_non_spine_images_skips_what_cannot_be_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(non_spine, "load_labeller", FixedLabels)
    save_scan(tmp_path / "sub-1" / "anat" / "sub-1_T2w.nii.gz", shape=(12, 80, 180))
    (tmp_path / "sub-2" / "anat").mkdir(parents=True)
    (tmp_path / "sub-2" / "anat" / "sub-2_T2w.nii.gz").touch()
    flags = ["--data", str(tmp_path), "--split-file", str(tmp_path / "split.json")]
    (tmp_path / "split.json").write_text('{"train": ["1"], "val": ["2"]}')  # without sub-, as is allowed elsewhere
    non_spine.main(flags)
    table, warnings = capsys.readouterr()
    head, _, *rows = table.splitlines()
    kinds = [row.split(" | ")[0].strip("| ") for row in rows]
    assert f"\n{head}\n" in RESULTS and len(kinds) == 7 and all(f"\n| {kind} | " in RESULTS for kind in kinds)
    assert "| as they are | 0.0 (0/1) | 4.0 | 100.0 (4/4) | 0.90 |" in table
    assert warnings.startswith("warning: sub-2_T2w is skipped: it is empty (0 bytes)")
    (tmp_path / "split.json").write_text('{"val": ["sub-2"]}')
    with pytest.raises(UserError, match="no scan of the train and val subjects of .*split.json can be read"):
        non_spine.main(flags)


@pytest.mark.parametrize(
    ("study", "flags", "reason"),
    [
        (few_shot, ["--split-file", "nowhere.json", "--out", "out"], "is no split"),
        (networks, ["--out", "out"], "tree holds no prepared data"),
        (networks, ["--test", "other", "--out", "out"], "other holds no prepared data"),
        (non_spine, ["--split-file", "split.json"], "has no scan of the train and val subjects"),
    ],
)
def test_mistakes_are_explained(study, flags, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "split.json").write_text(json.dumps({"train": ["sub-1"]}))
    (tmp_path / "tree").mkdir()
    with pytest.raises(UserError, match=reason):
        study.main(["--data", "tree", *flags])


def test_test_data_of_another_resolution_are_refused_before_any_training(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "trained", None)
    data = prepared(tmp_path / "data", range(21, 26), 3, tests=1)
    fine = prepared(tmp_path / "fine", range(21, 26), 3, tests=1, resolution=0.5)
    with pytest.raises(UserError, match=f"^{fine} has pixels of 0.5 mm, the network 1.0: prepare it with --resolution"):
        networks.main(["--data", str(data), "--test", str(data), str(fine), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("study", "flag"),
    [
        (few_shot, "--sizes"),
        (lateral, "--subjects"),
        (networks, "--seeds"),
        (sheet, "--images"),
        (sheet, "--anatomies"),
        (transitional, "--subjects"),
    ],
)
def test_counts_below_1_are_refused(study, flag, capsys):
    with pytest.raises(SystemExit):
        study.main([flag, "0"])
    assert f"argument {flag}: 0 is not a whole number of 1 or more\n" in capsys.readouterr().err
