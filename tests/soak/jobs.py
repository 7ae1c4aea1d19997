"""The four scripts on small data, run in processes of their own that can be killed or made to fail."""

import contextlib
import hashlib
import importlib
import json
import multiprocessing
import resource
import sys
import time
import traceback
from pathlib import Path

from utils.inference.checkpoint import digest_of, load_checkpoint
from utils.system import files
from utils.training.runs import holds_run

SCRIPTS = ("prepare_spinegeneric", "train", "evaluate", "predict")
NETWORK = ["--features", "16", "--stacks", "1", "--batch-size", "4", "--no-amp", "--device", "cpu", "--epochs", "3"]
UNTIL = 1800  # seconds that nothing here takes, be the machine ever so busy

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


def work(script, flags, said, out, full_at):
    """Run a script as the shell does, on one thread; at the writing ``full_at`` there is no room for a byte.

    Parameters
    ----------
    script, flags, said
        What to run, and the file of what it says.
    out : Path
        Its output folder: the files written there are listed in ``out.writes``, in their order.
    full_at : (str, int) or None
        A file under ``out``, and which time it is written.
    """
    sys.stdout = sys.stderr = open(said, "w")
    import torch

    torch.set_num_threads(1)
    module = importlib.import_module(script)
    if script == "train":
        module.RECIPES["default"]["least_slices"] = 12
        importlib.import_module("utils.training.engine").CALIBRATION_VIEWS = 2
    told, times = files.cannot_be_written, {}

    @contextlib.contextmanager
    def listed(path):
        name = str(Path(path).relative_to(out))
        times[name] = times.get(name, 0) + 1
        with told(path), open(f"{out}.writes", "a") as writes:
            writes.write(f"{name}\n")
            writes.flush()
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            if full_at == (name, times[name]):
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

    files.cannot_be_written = listed
    try:
        files.run(lambda: module.main(flags))
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
    full_at : (str, int) or None
        As for `work`.
    """

    def __init__(self, script, home, out, full_at=None):
        self.said, self.listed = (out.with_name(f"{out.name}.{ending}") for ending in ("said", "writes"))
        self.listed.unlink(missing_ok=True)
        arguments = (script, flags_of(script, home, out), str(self.said), out, full_at)
        self.process = CONTEXT.Process(target=work, args=arguments)
        self.began = time.perf_counter()
        self.process.start()

    def end(self):
        """Wait for its end; returns the exit status, what it said, and the seconds that it took."""
        self.process.join(UNTIL)
        assert self.process.exitcode is not None, "it hangs"
        return self.process.exitcode, self.said.read_text(), time.perf_counter() - self.began


def whole(script, home, out):
    """Run a script to its end; returns the seconds, and the files that it wrote in their order."""
    job = Job(script, home, out)
    status, said, seconds = job.end()
    assert status == 0, said
    return seconds, job.listed.read_text().splitlines()


def end_state(script, out):
    """Return what a script leaves: {file: digest}; checkpoints without their times, sidecars as they are."""
    assert not list(out.rglob(".part-*"))
    found = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        key = str(path.relative_to(out))
        if path.suffix == ".pt":
            content = load_checkpoint(path)
            log = [{k: v for k, v in line.items() if k not in ("seconds", "images_per_s")} for line in content["log"]]
            args = {k: v for k, v in content["args"].items() if k not in ("resume", "out")}
            found[key] = digest_of({**content, "log": log, "args": args})
        elif key.endswith("_dlabel.json"):  # it names its scan as seen from here
            told = json.loads(path.read_text())
            found[key] = {**told, "Sources": [(path.parent / source).resolve() for source in told["Sources"]]}
        elif script != "train" or path.suffix == ".gif":
            found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
