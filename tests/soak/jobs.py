"""The four scripts on small data, run in processes of their own that can be killed or made to fail."""

import hashlib
import importlib
import multiprocessing
import os
import sys
import time
import traceback

from utils.checkpoint import digest_of, load_checkpoint
from utils.files import run
from utils.runs import holds_run

SCRIPTS = ("prepare_spinegeneric", "train", "evaluate", "predict")
NETWORK = ["--features", "16", "--stacks", "1", "--batch-size", "4", "--no-amp", "--device", "cpu", "--epochs", "3"]
UNTIL = 300  # seconds that nothing here takes

# A server that has imported everything forks them: starting one takes no time, so that a kill meets it at work.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(list(SCRIPTS))


def flags_of(script, home, out):
    """Return the flags of a script that reads from the folder ``home`` and writes to ``out``."""
    flags = {
        "prepare_spinegeneric": ["--data", home / "tree", "--out", out, "--split", 0.4, 0.3, 0.3, "--jobs", 2],
        "train": ["--data", home / "data", "--out", out, *NETWORK, *(["--resume"] if holds_run(out) else [])],
        "evaluate": ["--weights", home / "run", "--data", home / "data", "--out", out, "--device", "cpu"],
        "predict": ["--data", home / "tree", "--weights", home / "run", "--out", out, "--device", "cpu"],
    }
    return [str(flag) for flag in flags[script]]


def work(script, flags, said, fail_at, writes):
    """Run a script as the shell does, on one thread; its ``fail_at``-th file cannot be put in its place."""
    sys.stdout = sys.stderr = open(said, "w")
    import torch

    torch.set_num_threads(1)
    module = importlib.import_module(script)
    if script == "train":
        module.RECIPES["default"]["least_slices"] = 12
        importlib.import_module("utils.engine").CALIBRATION_VIEWS = 2
    replace = os.replace

    def counted(*paths):
        with writes.get_lock():
            writes.value += 1
            now = writes.value
        if now == fail_at:
            raise OSError(28, "No space left on device")
        replace(*paths)

    os.replace = counted
    try:
        run(lambda: module.main(flags))
    except Exception:
        traceback.print_exc()
        sys.exit(99)
    finally:
        sys.stdout.flush()


class Job:
    """A script at work.

    Parameters
    ----------
    script : str
    home, out : Path
    fail_at : int
        The file whose writing fails, counted from 1; 0 for none.
    """

    def __init__(self, script, home, out, fail_at=0):
        self.said, self.writes = out.with_name(f"{out.name}.said"), CONTEXT.Value("i", 0)
        arguments = (script, flags_of(script, home, out), str(self.said), fail_at, self.writes)
        self.process = CONTEXT.Process(target=work, args=arguments)
        self.began = time.perf_counter()
        self.process.start()

    def end(self):
        """Wait for its end; returns the exit status, what it said, and the seconds that it took."""
        self.process.join(UNTIL)
        assert self.process.exitcode is not None, "it hangs"
        return self.process.exitcode, self.said.read_text(), time.perf_counter() - self.began


def whole(script, home, out):
    """Run a script to its end; returns the seconds and the number of files that it put in their places."""
    job = Job(script, home, out)
    status, said, seconds = job.end()
    assert status == 0, said
    return seconds, job.writes.value


def end_state(script, out):
    """Return what a script leaves: {file: digest of its bytes}; of checkpoints all but the times."""
    assert not list(out.rglob(".part-*"))
    found = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        key = str(path.relative_to(out))
        if path.suffix == ".pt":
            content = load_checkpoint(path)
            log = [{k: v for k, v in line.items() if k not in ("seconds", "images_per_s")} for line in content["log"]]
            args = {k: v for k, v in content["args"].items() if k not in ("resume", "out")}
            found[key] = digest_of({**content, "log": log, "args": args})
        elif script != "train" or path.suffix == ".gif":
            found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
