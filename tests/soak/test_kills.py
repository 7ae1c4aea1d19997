"""Scripts that were killed, or could not write a file, give the same results once they are run again.

`make test` kills each script at 3 random moments, `make soak` at 30 by the variable SOAK_KILLS.
"""

import os
import re
import shutil
import time
from collections import Counter

import numpy as np
import pytest
from jobs import Job, end_state, whole

import make_phantom

OUT = {"prepare_spinegeneric": "data", "train": "run", "evaluate": "scores", "predict": "labels"}
KILLS = int(os.environ.get("SOAK_KILLS", 3))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a folder with the results of an undisturbed run of each script, the time of each, and its end state."""
    home = tmp_path_factory.mktemp("soak")
    make_phantom.main(["--subjects", "3", "--out", str(home / "tree"), "--seed", "8"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.getcwd())  # for the server's imports
        took = {script: whole(script, home, home / out) for script, out in OUT.items()}
    return home, took, {script: end_state(script, home / out) for script, out in OUT.items()}


@pytest.mark.parametrize("script", OUT)
def test_a_killed_script_resumes_and_ends_as_an_undisturbed_one(script, home, tmp_path):
    home, took, states = home
    rng, working = np.random.default_rng(0), 0
    for kill in range(KILLS):
        out = tmp_path / str(kill)
        job = Job(script, home, out)
        time.sleep(rng.uniform(0, took[script][0]))
        job.process.kill()
        job.process.join()
        working += job.process.exitcode == -9
        whole(script, home, out)
        assert end_state(script, out) == states[script], f"kill {kill}"
        shutil.rmtree(out)
    assert working > 0  # kills that always came after the end would prove nothing


def one_of_each_kind(script, files):
    """Return (file, which time it is written) of the first of each kind, and of the second of a training.

    A checkpoint takes the place of one before.
    """
    kinds, chosen = Counter(), []
    for file in files:
        kind = re.sub(r"[0-9a-f]{16}|[0-9]+", "#", file)
        kinds[kind] += 1
        if kinds[kind] <= (2 if script == "train" else 1):
            chosen.append((file, kinds[kind]))
    return chosen


@pytest.mark.parametrize("script", OUT)
def test_a_full_disk_is_reported_and_the_next_run_completes_the_work(script, home, tmp_path):
    """Each kind of file fails once, run after run in the same folder; then there is room."""
    home, took, states = home
    out, failed = tmp_path / "out", set()
    for file, time_ in one_of_each_kind(script, took[script][1]):
        status, output, _ = Job(script, home, out, (file, time_)).end()
        assert "Traceback" not in output
        if status:
            assert status in (1, 2) and f"{file} cannot be written" in output, f"{file}: {output}"
            failed.add(file)
    assert failed == {file for file, _ in one_of_each_kind(script, took[script][1])}
    whole(script, home, out)
    assert end_state(script, out) == states[script]
