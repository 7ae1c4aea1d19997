"""Lists, tables and split files as users write them: each entry means what it should, or is reported."""

import json
from pathlib import Path

import pytest
from test_prepare import add_scan, prepare, table, tree_of

from utils.scans.bids import match_participants, participants
from utils.scans.names import match_names, read_names, stem_of
from utils.scans.splits import check_together, participant_groups
from utils.system.files import UserError

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "content",
    [
        b"sub-01\nsub-02_T2w\n", BOM + b"sub-01\nsub-02_T2w\n", b"sub-01\r\nsub-02_T2w\r\n", b"sub-01\rsub-02_T2w",
        b"\"sub-01\"\n'sub-02_T2w.nii.gz',\n", b"# list\nsub-01  # motion\n\n  sub-02_T2w.nii  \n",
        b"---\nt2w:\n  - sub-01  # motion\n  - 'sub-02_T2w.nii.gz'\n", b"exclude: [sub-01, \"sub-02_T2w\"]\n",
        b"- sub-01\n-\n- data/sub-02/anat/sub-02_T2w.nii.gz\n", b"sub-01\nsub-02_T2w.NII.GZ\n",
    ],
)  # fmt: skip
def test_lists_are_read_however_they_are_written(content, tmp_path):
    (tmp_path / "list").write_bytes(content)
    assert read_names(tmp_path / "list") == {"sub-01", "sub-02_T2w"}


@pytest.mark.parametrize("content", [b"\xff\xfes\x00", b"sub-\xe9\n"])
def test_a_list_that_is_no_text_is_refused(content, tmp_path):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(UserError, match="list cannot be read: give a text file"):
        read_names(tmp_path / "list")


@pytest.mark.parametrize(
    ("file", "stem"),
    [("a.nii.gz", "a"), ("A.NII.GZ", "A"), ("b.Nii", "b"), ("a.nii.nii.gz", "a.nii"), ("a.hdr", "a.hdr")],
)
def test_the_ending_of_a_file_is_known_in_either_case(file, stem):
    assert stem_of(Path("folder") / file) == stem


def test_names_mean_what_is_unambiguous():
    known = {"sub-01", "sub-Ab", "sub-X", "sub-x", "sub-01_T2w"}
    meant = match_names(["sub-01", "01", "SUB-01", "ab", "sub-X", "x", "SUB-x", "1", "01_t2w"], known)
    assert meant == {
        "sub-01": "sub-01", "01": "sub-01", "SUB-01": "sub-01", "ab": "sub-Ab", "sub-X": "sub-X", "x": "sub-x",
        "SUB-x": None, "1": None, "01_t2w": "sub-01_T2w",
    }  # fmt: skip


@pytest.mark.parametrize("content", [BOM + b"sub-00\r\n", b"00\n", b"- SUB-00 # motion\n"])
def test_excluded_subjects_are_left_out(content, tmp_path, capsys):
    tree = tree_of(tmp_path / "tree", 3)
    (tmp_path / "list").write_bytes(content + b"sub-ghost\n")
    rows, skipped = prepare(tree, tmp_path / "out", "--exclude", str(tmp_path / "list"))
    assert {row["subject"] for row in rows} == {"sub-01", "sub-02"}
    assert skipped["sub-00_T1w"] == skipped["sub-00_T2w"] == "excluded by the list"
    said = capsys.readouterr()
    assert "4 scans prepared, 2 left out" in said.out
    assert "1 entries match no subject and no scan: sub-ghost (list to exclude)" in said.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["skipped"], summary["unmatched"]) == (2, ["sub-ghost"])


@pytest.mark.parametrize("content", ["", "# nothing\n", "sub-ghost\n", "t2w:\n - sub-1\n"])
def test_a_list_that_matches_nothing_is_an_error(content, tmp_path):
    tree = tree_of(tmp_path / "tree", 3)
    (tmp_path / "list").write_text(content)
    with pytest.raises(UserError, match="matches no subject and no scan: write one per line, such as sub-00_T1w"):
        prepare(tree, tmp_path / "out", "--exclude", str(tmp_path / "list"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("empty", ["n/a", "N/A", "-", "", "nan", " "])
def test_missing_values_are_no_values(empty, tmp_path):
    tree = tree_of(tmp_path / "tree")
    lines = [f"sub-{index:02d}\t{empty}\t{empty}\tsite" for index in range(10)]
    head = "participant_id\tsame_person_group\tsource\tinstitution"
    (tree / "participants.tsv").write_text("\n".join([head, *lines]))
    rows, _ = prepare(tree, tmp_path / "out")
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    assert all(row["group"] == row["subject"] and row["source"] == "site" for row in rows)


@pytest.mark.parametrize("written", ["01", "SUB-01", "Sub-01", " sub-01 "])
def test_participants_are_matched_where_that_is_unambiguous(written, tmp_path, capsys):
    (tmp_path / "participants.tsv").write_text(f"participant_id\tage\n{written}\t30\nsub-02\tn/a\nother\t5\n")
    records, unmatched = match_participants(participants(tmp_path), ["sub-01", "sub-02", "sub-03"])
    assert records["sub-01"]["age"] == "30" and set(records) == {"sub-01", "sub-02"} and "age" not in records["sub-02"]
    assert unmatched == ["other"]
    assert capsys.readouterr().err == ""


def test_a_table_that_is_not_clear_gives_no_row():
    records = {"01": {"age": "1"}, "SUB-01": {"age": "2"}, "sub-02": {"age": "3"}, "02": {"age": "4"}}
    matched, unmatched = match_participants(records, ["sub-01", "sub-02"])
    assert matched == {"sub-02": {"age": "3"}} and unmatched == ["01", "02", "SUB-01"]


@pytest.mark.parametrize(
    ("lines", "warning"),
    [
        (["sub-00\tx", "sub-77\tx"], "no row for 2 of 3 subjects (such as sub-01), and 1 of its rows match no subject"),
        (["a\tx", "b\tx"], "3 of 3 subjects (such as sub-00), and 2 of its rows match no subject (such as a)"),
        (["0\tx"] * 2, "no row for 3 of 3 subjects"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_match_is_reported_with_numbers(lines, warning, tmp_path, capsys):
    tree = tree_of(tmp_path / "tree", 3)
    (tree / "participants.tsv").write_text("\n".join(["participant_id\tsource", *lines]))
    prepare(tree, tmp_path / "out")
    assert warning in capsys.readouterr().err


GROUPS = [
    ["sub-00\tp", "sub-01\tp"], ["00\tp", "SUB-01\tp"], ["sub-00\tn/a", "sub-01\tsub-00"], ["sub-00\tp", "sub-01\t00"],
    ["sub-00\tsub-01", "sub-01\tsub-00"],
]  # fmt: skip


@pytest.mark.parametrize("lines", GROUPS)
def test_subjects_that_are_the_same_participant_are_one_group(lines, tmp_path):
    tree = tree_of(tmp_path / "tree", 4)
    (tree / "participants.tsv").write_text("\n".join(["participant_id\tsame_person_group", *lines]))
    for seed in range(2):
        rows, _ = prepare(tree, tmp_path / "out", "--seed", str(seed))
        split, group = ({row["subject"]: row[column] for row in rows} for column in ("split", "group"))
        assert split["sub-00"] == split["sub-01"]
        assert group["sub-00"] == group["sub-01"] and len(set(group.values())) == 3


@pytest.mark.parametrize("lines", GROUPS)
def test_a_split_file_that_parts_a_participant_is_refused(lines, tmp_path):
    tree = tree_of(tmp_path / "tree", 3)
    (tree / "participants.tsv").write_text("\n".join(["participant_id\tsame_person_group", *lines]))
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"train": ["00"], "val": ["sub-02"], "test": ["sub-01"]}))
    with pytest.raises(UserError, match="sub-00 into train and sub-01 into test, who are the same participant"):
        prepare(tree, tmp_path / "out", "--split-file", str(file))
    file.write_text(json.dumps({"train": ["sub-00", "sub-01"], "val": ["sub-02"]}))
    assert len(prepare(tree, tmp_path / "out", "--split-file", str(file))[0]) == 6


def test_folds_that_part_a_participant_are_refused():
    groups = participant_groups(
        {"sub-1": {"same_person_group": "p"}, "sub-2": {"same_person_group": "p"}}, ["sub-1", "sub-2"]
    )
    check_together(groups, {"sub-1": "fold 1"}, "folds.json")
    with pytest.raises(UserError, match="folds.json puts sub-1 into fold 1 and sub-2 into fold 2"):
        check_together(groups, {"sub-1": "fold 1", "sub-2": "fold 2"}, "folds.json")


@pytest.mark.parametrize("content", [BOM, b""])
def test_split_files_may_leave_sub_out(content, tmp_path):
    tree = tree_of(tmp_path / "tree", 3)
    file = tmp_path / "split.json"
    file.write_bytes(content + b'{"train": ["00"],\r\n "val": ["SUB-01"], "test": ["sub-02"]}')
    rows, _ = prepare(tree, tmp_path / "out", "--split-file", str(file))
    assert {row["subject"]: row["split"] for row in rows} == {"sub-00": "train", "sub-01": "val", "sub-02": "test"}
    file.write_text('{"train": ["00"], "test": ["sub-00"]}')
    with pytest.raises(UserError, match="names sub-00 twice"):
        prepare(tree, tmp_path / "out", "--split-file", str(file))
    file.write_text('{"train": ["a"]}')
    with pytest.raises(UserError, match="names none of the subjects, such as sub-00"):
        prepare(tree, tmp_path / "out", "--split-file", str(file))


@pytest.mark.parametrize("flags", [["--split", "1", "0", "0"], ["--split", "0.5", "0", "0.5"]])
def test_an_empty_validation_split_is_reported_at_once(flags, tmp_path, capsys):
    add_scan(tmp_path / "tree", "sub-1_T2w")
    prepare(tmp_path / "tree", tmp_path / "out", *flags)
    said = capsys.readouterr().err
    assert "the val split is empty, and train.py needs it" in said and "--split above 0" in said
    assert table(tmp_path / "out" / "ignored.tsv") == []
