"""Files that appear whole or not at all, on every kind of drive."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from utils.system.files import UserError, replace_file, save_json_lines, save_text, sweep

ROOT = Path(__file__).parents[2]


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    save_text(tmp_path / "a.txt", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(f"os.{step}", full)
            with pytest.raises(UserError, match="No space left on device.*free space"):
                save_text(tmp_path / "a.txt", "new")
        assert (tmp_path / "a.txt").read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EBADF])
@pytest.mark.parametrize("step", ["chmod", "fsync"])
def test_a_drive_without_permissions_or_fsync_is_written_to(step, code, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(f"os.{step}", refuse)
    save_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_content_that_does_not_reach_the_disk_is_an_error(code, tmp_path, monkeypatch):
    def lose(*_):
        raise OSError(code, os.strerror(code))

    save_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr("os.fsync", lose)
    with pytest.raises(UserError, match=os.strerror(code)):
        save_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("lines", [1, 100_000])  # noticed at the end, and before it
def test_a_closed_pipe_ends_a_script_without_a_word(lines):
    code = f"from utils.system.files import run\nrun(lambda: print('a line\\n' * {lines}))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_full_disk_behind_what_is_printed_is_a_sentence(lines):
    code = f"from utils.system.files import run\nrun(lambda: print('a line\\n' * {lines}))"
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr == b"error: no more can be written (No space left on device): free space, or write elsewhere\n"


def test_another_broken_pipe_is_not_passed_over():
    code = (
        "import os\nfrom utils.system.files import run\nread, write = os.pipe()\nos.close(read)\n"
        "run(lambda: os.write(write, b'a'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 1 and b"BrokenPipeError" in done.stderr


def test_files_of_killed_processes_are_swept_and_those_of_living_ones_are_not(tmp_path):
    code = (
        "import os, signal, sys\nfrom utils.system.files import replace_file\n"
        "with replace_file(sys.argv[1]) as path:\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "b" / "a.txt")], cwd=ROOT, check=False)
    assert len(list((tmp_path / "b").iterdir())) == 1
    with replace_file(tmp_path / "b" / "c.txt") as mine:
        sweep(tmp_path)
        assert list((tmp_path / "b").iterdir()) == [mine]


def test_lines_of_json_hold_null_where_a_value_is_not_defined(tmp_path):
    save_json_lines(tmp_path / "log.jsonl", [{"a": float("nan"), "sets": {"b": (0.5, np.float32("inf"))}}, {"a": 1.0}])
    assert (tmp_path / "log.jsonl").read_text() == '{"a": null, "sets": {"b": [0.5, null]}}\n{"a": 1.0}\n'
