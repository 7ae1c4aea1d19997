"""One process at a time in a folder, whatever became of those before."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from utils.system.files import UserError
from utils.system.lock import locked

ROOT = Path(__file__).parents[2]
HOLD = "import sys\nfrom utils.system.lock import locked\nwith locked(sys.argv[1], 'a training'):\n    {}\n"


@pytest.fixture
def holder(tmp_path):
    """Return a folder that another process holds, and that process."""
    code = HOLD.format("print('held', flush=True)\n    sys.stdin.read()")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run")], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield tmp_path / "run", process
    process.kill()
    process.wait()


def take(folder):
    with locked(folder, "a training"):
        return True


def test_a_folder_in_use_is_refused_with_the_process_that_holds_it(holder):
    folder, process = holder
    with pytest.raises(UserError, match=rf"in use by a training \(process {process.pid} on .*another --out"):
        take(folder)
    with pytest.raises(UserError, match="in use"):  # being refused does not release it
        take(folder)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None], ids=["killed", "terminated", "done"])
def test_the_end_of_its_process_releases_a_folder(end, holder):
    folder, process = holder
    process.send_signal(end) if end else process.stdin.close()
    process.wait()
    assert (folder / ".lock").exists() == bool(end)  # a file that is left locks nothing
    assert take(folder)


def test_children_of_a_killed_process_do_not_keep_its_folder(tmp_path):
    # Processes that prepare batches outlive their training by some seconds.
    code = HOLD.format(
        "import os, signal, time\n    child = os.fork()\n    if not child:\n        os.close(1), time.sleep(60)\n"
        "    print(child, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    try:
        assert take(tmp_path)
    finally:
        os.kill(int(done.stdout), signal.SIGKILL)


def test_nothing_is_left_and_only_what_was_made_is_removed(tmp_path):
    take(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").mkdir()
    take(tmp_path / "mine")
    assert not list((tmp_path / "mine").iterdir())
    with locked(tmp_path / "run", "a training"):
        (tmp_path / "run" / "args.json").write_text("{}")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["args.json"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_warned_about_and_used(code, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(code, "not here")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    assert take(tmp_path / "run")
    assert "cannot be locked (not here)" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        take(tmp_path / "file" / "run")
