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
LIMIT_S = 1800  # nothing here takes that long, even on a busy machine

# Forked from a server that has imported everything: they start at once, so that a kill finds them at work.
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


def work(script, flags, output, out, full_at):
    """Run a script as the shell does, on one thread; at the writing ``full_at`` the disk is full.

    Parameters
    ----------
    script, flags, output
        What to run, and the file for its output.
    out : Path
        Its output folder: the files written there are listed in ``out.writes``, in their order.
    full_at : (str, int) or None
        A file under ``out``, and at which of its writings.
    """
    sys.stdout = sys.stderr = open(output, "w")
    import torch

    torch.set_num_threads(1)
    module = importlib.import_module(script)
    if script == "train":
        module.RECIPES["default"]["least_slices"] = 12
        importlib.import_module("utils.training.engine").CALIBRATION_VIEWS = 2
    original, times = files.cannot_be_written, {}

    @contextlib.contextmanager
    def listed(path):
        name = str(Path(path).relative_to(out))
        times[name] = times.get(name, 0) + 1
        with original(path), open(f"{out}.writes", "a") as writes:
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
    """A running script.

    Parameters
    ----------
    script : str
    home, out : Path
    full_at : (str, int) or None
        As for `work`.
    """

    def __init__(self, script, home, out, full_at=None):
        self.output, self.listed = (out.with_name(f"{out.name}.{ending}") for ending in ("output", "writes"))
        self.listed.unlink(missing_ok=True)
        arguments = (script, flags_of(script, home, out), str(self.output), out, full_at)
        self.process = CONTEXT.Process(target=work, args=arguments)
        self.began = time.perf_counter()
        self.process.start()

    def end(self):
        """Wait for its end; returns the exit status, its output, and the seconds that it took."""
        self.process.join(LIMIT_S)
        assert self.process.exitcode is not None, "it hangs"
        return self.process.exitcode, self.output.read_text(), time.perf_counter() - self.began


def whole(script, home, out):
    """Run a script to its end; returns the seconds, and the files that it wrote, in order."""
    job = Job(script, home, out)
    status, output, seconds = job.end()
    assert status == 0, output
    return seconds, job.listed.read_text().splitlines()


TIMES = ("seconds", "validation_seconds", "images_per_s")  # of an epoch, which no two trainings share


def end_state(script, out):
    """Return what a script leaves: {file: digest}; checkpoints without their times, sidecars as they are."""
    assert not list(out.rglob(".part-*"))
    found = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        key = str(path.relative_to(out))
        if path.suffix == ".pt":
            content = load_checkpoint(path)
            log = [{k: v for k, v in line.items() if k not in TIMES} for line in content["log"]]
            args = {k: v for k, v in content["args"].items() if k not in ("resume", "out")}
            found[key] = digest_of({**content, "log": log, "args": args})
        elif key.endswith("_dlabel.json"):  # its path to the scan depends on the folder
            content = json.loads(path.read_text())
            found[key] = {**content, "Image": (path.parent / content["Image"]).resolve()}
        elif key.endswith("dataset_description.json"):  # and so does that to the tree
            content = json.loads(path.read_text())
            found[key] = {**content, "DatasetLinks": (path.parent / content["DatasetLinks"]["raw"]).resolve()}
        elif key == "summary.json":
            content = json.loads(path.read_text())
            found[key] = {**content, "tree": (path.parent / content["tree"]).resolve()}
        elif script != "train" or path.suffix == ".gif":
            found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
