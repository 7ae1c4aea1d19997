"""The version of the code: its own commit, or a digest of its sources."""

import os
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
    for script in ("predict.py", "prepare_spinegeneric.py"):
        (tool / script).touch()

    def git(folder, *arguments):
        command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def seen(**environment):
        command = [sys.executable, "-B", "-c", "from utils.system.version import code_version; print(code_version())"]
        environment = {**os.environ, **environment}
        return subprocess.run(
            command, cwd=tool, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    git(tmp_path / "mine", "init", "--quiet")
    git(tmp_path / "mine", "commit", "--quiet", "--allow-empty", "--message", "mine")
    first = seen()
    assert first.startswith("sources-") and first == seen(GIT_DIR=str(tmp_path / "mine" / ".git"))  # as in a hook
    (tool / "my_script.py").write_text("not of the software")
    assert seen() == first
    (tool / "predict.py").write_text("changed")
    assert seen() != first and seen().startswith("sources-")
    git(tool, "init", "--quiet")
    git(tool, "add", ".")
    git(tool, "commit", "--quiet", "--message", "own")
    assert seen() == git(tool, "rev-parse", "--short", "HEAD")
