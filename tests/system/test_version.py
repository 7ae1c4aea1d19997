"""The version of the code: its own commit, or a digest of its sources."""

import shutil
import subprocess
import sys

import pytest

from utils.system import version


@pytest.mark.skipif(not shutil.which("git"), reason="git is not here")
def test_the_commit_of_another_repository_is_not_that_of_the_code(tmp_path):
    tool = tmp_path / "mine" / "tool"
    (tool / "utils" / "system").mkdir(parents=True)
    shutil.copy(version.__file__, tool / "utils" / "system" / "version.py")
    git = ["git", "-C", str(tmp_path / "mine"), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "mine"], check=True)

    def seen():
        code = "from utils.system.version import code_version; print(code_version())"
        command = [sys.executable, "-B", "-c", code]
        return subprocess.run(command, cwd=tool, capture_output=True, text=True, check=True).stdout.strip()

    first = seen()
    assert first.startswith("sources-") and seen() == first
    (tool / "predict.py").write_text("changed")
    assert seen() != first and seen().startswith("sources-")
