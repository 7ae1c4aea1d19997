"""Trainings that are stopped, damaged or shared among processes end as one that was left alone."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import make_phantom
import prepare_spinegeneric
import train
from utils.inference.checkpoint import digest_of, load_checkpoint
from utils.system import ranks
from utils.system.files import UserError
from utils.training.sources import lost_workers_explained

ROOT = Path(__file__).parents[2]
SMALL = ["--features", "16", "--stacks", "1", "--batch-size", "4", "--no-amp", "--device", "cpu", "--epochs", "3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("subjects")
    make_phantom.main(["--subjects", "3", "--out", str(folder / "tree"), "--seed", "8"])
    flags = ["--data", str(folder / "tree"), "--out", str(folder / "data"), "--split", "0.4", "0.3", "0.3"]
    prepare_spinegeneric.main(flags)
    return folder / "data"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(train.RECIPES["default"], "least_slices", 12)
    monkeypatch.setattr("utils.training.engine.CALIBRATION_VIEWS", 2)
    torch.set_num_threads(1)


def run(data, out, *flags):
    return train.main(["--data", str(data), "--out", str(out), *SMALL, *flags])


def weights(out, name="last.pt"):
    return load_checkpoint(out / name)["state_dict"]


def equal(first, second):
    return all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(train.RECIPES["default"], "least_slices", 12)
        patch.setattr("utils.training.engine.CALIBRATION_VIEWS", 2)
        torch.set_num_threads(1)
        assert run(data, out) == 0
    return out


def test_equal_seeds_give_equal_weights(data, undisturbed, tmp_path):
    run(data, tmp_path / "again")
    assert equal(weights(undisturbed), weights(tmp_path / "again"))
    best = [load_checkpoint(out) for out in (undisturbed, tmp_path / "again")]
    assert best[0]["calibration"] == best[1]["calibration"] and equal(best[0]["state_dict"], best[1]["state_dict"])


def test_a_signal_in_the_middle_of_an_epoch_saves_it(data, undisturbed, tmp_path, monkeypatch, capsys):
    taken, step = [], torch.optim.AdamW.step

    def step_and_signal(self, *args):
        taken.append(1)
        if len(taken) == 4:  # the first of three steps of the second epoch; it is seen in the next one
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *args)

    step_and_signal.hooked = True  # what follows each step is called from within it, once
    with monkeypatch.context() as patch:
        # The schedule wraps the method of each optimiser, which is why the class is the place to change it.
        patch.setattr(torch.optim.AdamW, "step", step_and_signal)
        assert run(data, tmp_path / "cut") == 128 + signal.SIGTERM
    assert "stopped in epoch 2" in capsys.readouterr().err
    saved = load_checkpoint(tmp_path / "cut" / "last.pt")
    assert saved["epoch"] == 1 and len(saved["losses"]) == 2
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert run(data, tmp_path / "cut", "--resume") == 0
    assert equal(weights(undisturbed), weights(tmp_path / "cut"))
    logs = [load_checkpoint(out / "last.pt")["log"] for out in (undisturbed, tmp_path / "cut")]
    assert [line["loss"] for line in logs[0]] == [line["loss"] for line in logs[1]]


SIGNALLED = """
import os, signal, sys, torch, train
torch.set_num_threads(1)
train.RECIPES["default"]["least_slices"] = 60
taken, step = [], torch.optim.AdamW.step

def step_and_signal(self, *args):
    taken.append(1)
    if len(taken) == 3:
        os.killpg(0, int(sys.argv[1]))
    return step(self, *args)

step_and_signal.hooked = True
torch.optim.AdamW.step = step_and_signal
sys.exit(train.main(sys.argv[2:]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_saves_too(number, data, tmp_path):
    # As schedulers, `timeout` and Ctrl-C send it: the processes that prepare batches get it as well.
    flags = ["--data", str(data), "--out", str(tmp_path / "run"), *SMALL, "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED, str(int(number)), *flags], cwd=ROOT, start_new_session=True,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 128 + number, done.stderr[-2000:]
    assert "stopped in epoch 1" in done.stderr and "Traceback" not in done.stderr
    assert len(load_checkpoint(tmp_path / "run" / "last.pt")["losses"]) == 4


@pytest.mark.parametrize("worker", [0, 1])
def test_the_death_of_a_worker_is_one_sentence(worker, data, tmp_path, monkeypatch):
    step = torch.optim.AdamW.step

    def step_and_kill(self, *args):
        for process in multiprocessing.active_children()[worker:][:1]:
            process.kill()
            process.join()
        return step(self, *args)

    step_and_kill.hooked = True
    monkeypatch.setitem(train.RECIPES["default"], "least_slices", 60)
    monkeypatch.setattr(torch.optim.AdamW, "step", step_and_kill)
    with pytest.raises(UserError, match="/dev/shm: run it again with --resume and fewer --workers, or --workers 0"):
        run(data, tmp_path / "run", "--workers", "2")
    assert (tmp_path / "run" / "last.pt").exists()  # the sentence is true


@pytest.mark.parametrize(
    "message",
    [
        "DataLoader worker (pid 12) is killed by signal: Bus error. It is possible that dataloader's workers are out "
        "of shared memory. Please try to raise your shared memory limit.",
        "DataLoader worker (pid(s) 12, 13) exited unexpectedly",
        "Caught RuntimeError in DataLoader worker process 0.\nunable to allocate shared memory(shm) for file "
        "</torch_12_3_0>: No space left on device (28)",
        "Caught RuntimeError in DataLoader worker process 1.\nunable to write to file </torch_12_3_0>: No space left",
    ],
)
def test_messages_of_torch_about_lost_workers_are_known(message):
    with pytest.raises(UserError, match="--workers 0"), lost_workers_explained():
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match="size of tensor"), lost_workers_explained():
        raise RuntimeError("The size of tensor a (3) must match")


def test_a_run_that_another_process_holds_is_refused_and_stays_as_it_is(data, undisturbed):
    before = {path.name: path.read_bytes() for path in undisturbed.iterdir() if path.is_file()}
    code = "import sys\nfrom utils.system.lock import locked\nwith locked(sys.argv[1], 'a training'):\n    "
    holder = subprocess.Popen(
        [sys.executable, "-c", code + "print(flush=True)\n    sys.stdin.read()", str(undisturbed)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    holder.stdout.readline()
    for flags in ([], ["--resume"]):
        with pytest.raises(UserError, match=f"in use by a training .process {holder.pid}"):
            run(data, undisturbed, *flags)
    holder.communicate()
    assert {path.name: path.read_bytes() for path in undisturbed.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        (["--epochs", "9"], "--epochs 3, over which its learning rate falls.*--init .* --out ANOTHER_FOLDER"),
        (["--epochs", "2"], "--epochs 3, over which"),
        (["--seed", "1"], "holds a run with --seed 0: give the same to resume it"),
        (["--seed", "1", "--epochs", "9"], "holds a run with --epochs 3, --seed 0: give the same"),
    ],
)
def test_resuming_with_other_flags_is_refused_with_what_to_do(flags, advice, data, undisturbed):
    with pytest.raises(UserError, match=advice):
        run(data, undisturbed, "--resume", *flags)


@pytest.mark.parametrize("damage", ["cut", "altered"])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_is_used(damage, data, undisturbed, tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    for file in undisturbed.iterdir():
        if file.is_file():
            (out / file.name).write_bytes(file.read_bytes())
    last = out / "last.pt"
    if damage == "cut":
        last.write_bytes(last.read_bytes()[:-5000])
    else:
        content = torch.load(last, weights_only=True)
        content["state_dict"]["conv1.weight"][0, 0, 0, 0] += 1e-3
        torch.save(content, last)
    assert run(data, out, "--resume") == 0
    text = capsys.readouterr().err
    assert "warning" in text and "before.pt" in text
    assert ("altered" if damage == "altered" else "cut short") in text
    assert equal(weights(undisturbed), weights(out))
    assert load_checkpoint(out / "before.pt")["epoch"] == load_checkpoint(last)["epoch"] - 1
    for file in (last, out / "before.pt"):
        file.write_bytes(b"nothing")
    with pytest.raises(UserError, match="no checkpoint that can be read"):
        run(data, out, "--resume")
    with pytest.raises(UserError, match="add --resume"):
        run(data, out)


def test_the_digest_changes_with_every_kind_of_change():
    first = {"a": torch.arange(3), "b": [1, 2.0, None], "c": {"d": "e"}}
    assert digest_of(first) == digest_of({**first, "digest": "anything"})
    others = [
        {**first, "a": torch.arange(3).float()}, {**first, "a": torch.arange(3).reshape(1, 3)},
        {**first, "b": [1, 2.0, 0]}, {**first, "c": {"d": "f"}}, {**first, "c": {"f": "e"}}, {"a": first["a"]},
    ]  # fmt: skip
    assert len({digest_of(one) for one in [first, *others]}) == 7


def test_a_non_finite_loss_names_its_scans_and_keeps_the_state(data, tmp_path, monkeypatch):
    calls = []

    def break_down(outputs, target, weight, mean=None):
        calls.append(1)
        value = sum(output.mean() for output in outputs)
        return value * (float("nan") if len(calls) == 2 else 1.0)

    monkeypatch.setitem(train.LOSSES, "focal", break_down)
    with pytest.raises(UserError, match="non-finite loss in epoch 1, with sub-phantom.*not_finite.pt"):
        run(data, tmp_path / "run")
    kept = load_checkpoint(tmp_path / "run" / "not_finite.pt")
    assert len(kept["losses"]) == 1 and all(torch.isfinite(value).all() for value in kept["state_dict"].values())
    # The statistics that are trained include the second batch, those of the average the first one alone.
    first, both = (kept[key]["bn1.num_batches_tracked"] for key in ("state_dict", "newest"))
    assert both == 2 * first


def test_a_folder_removed_under_a_training_is_reported(data, tmp_path, monkeypatch):
    out = tmp_path / "run"
    validate = train.validate

    def validate_and_remove(*args):
        (out / "args.json").unlink()
        return validate(*args)

    monkeypatch.setattr(train, "validate", validate_and_remove)
    with pytest.raises(UserError, match="removed or emptied"):
        run(data, out)


def test_two_processes_train_as_one(data, undisturbed, tmp_path, monkeypatch):
    # torch's own float32 batch statistics are off by 1e-3 of a standard deviation on mostly black slices.
    monkeypatch.setattr(ranks, "share", lambda network, device: ranks.share_statistics(network))
    run(data, tmp_path / "one")
    script = tmp_path / "short.py"
    script.write_text(
        "import sys, torch, train\n"
        "torch.set_num_threads(1)\n"
        "train.RECIPES['default']['least_slices'] = 12\n"
        "import utils.training.engine; utils.training.engine.CALIBRATION_VIEWS = 2\n"
        "sys.exit(train.main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    flags = ["--data", str(data), "--out", str(tmp_path / "run"), *SMALL]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, str(script), *flags], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    logs = [load_checkpoint(out / "last.pt")["log"] for out in (undisturbed, tmp_path / "one", tmp_path / "run")]
    plain, one, two = (np.array([[line["loss"], line["val_loss"]] for line in log]) for log in logs)
    np.testing.assert_allclose(one[0, 0], two[0, 0], rtol=2e-4)
    # An optimiser that divides by its gradients enlarges roundings: what comes after its steps is less near.
    np.testing.assert_allclose(one, two, rtol=2e-3)
    np.testing.assert_allclose(plain[0], two[0], rtol=2e-2)  # later on, its other roundings have grown
