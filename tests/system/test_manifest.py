"""Only files that this software wrote are replaced or removed."""

import hashlib
import json

import pytest

from utils.system.files import UserError
from utils.system.manifest import Manifest


def write(folder, **files):
    """Write files as a script does: claimed before, recorded after."""
    manifest = Manifest(folder)
    manifest.claim([f"{name}.txt" for name in files])
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    manifest.record()


def test_what_was_written_is_recorded_and_may_be_written_again(tmp_path):
    write(tmp_path / "out", a="1", b="2")
    content = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert content["files"] == {
        "a.txt": hashlib.sha256(b"1").hexdigest(),
        "b.txt": hashlib.sha256(b"2").hexdigest(),
    }
    write(tmp_path / "out", a="3")
    assert Manifest(tmp_path / "out").files == {
        "a.txt": hashlib.sha256(b"3").hexdigest(),
        "b.txt": hashlib.sha256(b"2").hexdigest(),
    }


@pytest.mark.parametrize("foreign", ["other", "1"])
def test_a_file_of_others_is_not_replaced(foreign, tmp_path):
    (tmp_path / "a.txt").write_text(foreign)
    with pytest.raises(UserError, match="a.txt was not written by this software, or was changed since"):
        write(tmp_path, a="1")
    assert (tmp_path / "a.txt").read_text() == foreign and not (tmp_path / "manifest.json").exists()


def test_a_file_that_was_changed_is_neither_replaced_nor_removed(tmp_path):
    write(tmp_path, a="1", b="2")
    (tmp_path / "a.txt").write_text("notes")
    (tmp_path / "c.txt").write_text("of others")
    with pytest.raises(UserError, match="a.txt"):
        Manifest(tmp_path).check(["b.txt", "a.txt"])
    Manifest(tmp_path).clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "c.txt", "manifest.json"]


def test_a_dead_link_of_others_is_not_replaced(tmp_path):
    (tmp_path / "a.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match="a.txt"):
        Manifest(tmp_path).check(["a.txt"])


def test_files_of_an_interrupted_run_are_ours(tmp_path):
    Manifest(tmp_path).claim(["a.txt", "b.txt"])
    (tmp_path / "a.txt").write_text("1")  # then it was killed
    again = Manifest(tmp_path)
    again.check(["a.txt", "b.txt"])
    again.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_claimed_files_that_were_not_written_are_forgotten(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.claim(["a.txt", "never.txt"])
    (tmp_path / "a.txt").write_text("1")
    manifest.record()
    (tmp_path / "never.txt").write_text("of others")
    with pytest.raises(UserError, match="never.txt"):
        Manifest(tmp_path).check(["never.txt"])


def test_two_processes_that_write_other_files_keep_each_others(tmp_path):
    one, two = Manifest(tmp_path), Manifest(tmp_path)
    one.claim(["a.txt"])
    two.claim(["b.txt"])
    (tmp_path / "a.txt").write_text("1")
    one.record()
    assert Manifest(tmp_path).files == {"a.txt": hashlib.sha256(b"1").hexdigest(), "b.txt": None}


def test_no_path_leads_out_of_the_folder(tmp_path):
    folder, precious = tmp_path / "out", tmp_path / "precious.txt"
    precious.write_text("1")
    folder.mkdir()
    names = ["../precious.txt", str(precious), "sub/../../precious.txt"]
    (folder / "manifest.json").write_text(json.dumps({"tool": "disc-labels", "files": dict.fromkeys(names)}))
    Manifest(folder).clear()
    assert precious.exists()


@pytest.mark.parametrize("content", ["{}", '{"tool": "x", "files": {}}', "[1]", "{", '{"tool": "disc-labels"}', ""])
def test_a_manifest_of_other_software_is_left_alone(content, tmp_path):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UserError, match="is not a manifest of this software"):
        Manifest(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == content


def test_a_folder_of_another_script_is_refused(tmp_path):
    write(tmp_path, scans="theirs", report="theirs")
    Manifest(tmp_path).refuse(["metrics.txt"], "an evaluation")
    with pytest.raises(UserError, match=r" holds predictions, and is left as it is: give another --out"):
        Manifest(tmp_path).refuse(["cases.txt", "scans.txt"], "predictions")
