"""Trainings that are stopped, damaged or shared among processes end as one that was left alone."""

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
from models import build_model
from utils.inference.checkpoint import digest_of, load_checkpoint
from utils.system import ranks
from utils.system.files import UserError, replace_file, save_text, sweep
from utils.system.journal import Journal
from utils.system.stages import overlapped

ROOT = Path(__file__).parents[2]
SMALL = ["--features", "16", "--stacks", "1", "--batch-size", "4", "--no-amp", "--device", "cpu", "--epochs", "3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
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


@pytest.mark.parametrize("damage", ["cut", "altered"])
def test_a_damaged_checkpoint_is_known_and_the_one_before_is_used(damage, data, undisturbed, tmp_path, capsys):
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
    said = capsys.readouterr().err
    assert "warning" in said and "before.pt" in said
    assert ("altered" if damage == "altered" else "cut short") in said
    assert equal(weights(undisturbed), weights(out))
    assert load_checkpoint(out / "before.pt")["epoch"] == load_checkpoint(last)["epoch"] - 1
    for file in (last, out / "before.pt"):
        file.write_bytes(b"nothing")
    with pytest.raises(UserError, match="no checkpoint that can be read"):
        run(data, out, "--resume")
    with pytest.raises(UserError, match="add --resume"):
        run(data, out)


def test_the_digest_tells_every_kind_of_change():
    first = {"a": torch.arange(3), "b": [1, 2.0, None], "c": {"d": "e"}}
    assert digest_of(first) == digest_of({**first, "digest": "anything"})
    others = [
        {**first, "a": torch.arange(3).float()}, {**first, "a": torch.arange(3).reshape(1, 3)},
        {**first, "b": [1, 2.0, 0]}, {**first, "c": {"d": "f"}}, {**first, "c": {"f": "e"}}, {"a": first["a"]},
    ]  # fmt: skip
    assert len({digest_of(one) for one in [first, *others]}) == 7


def test_a_loss_that_is_no_number_names_its_scans_and_keeps_the_state(data, tmp_path, monkeypatch):
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


def test_a_folder_removed_under_a_training_is_told(data, tmp_path, monkeypatch):
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


def test_shared_batch_statistics_are_those_of_torch():
    own, torchs = (build_model("hourglass_attention", 4, 1, 1, 8, 1) for _ in range(2))
    torchs.load_state_dict(own.state_dict())
    ranks.share_statistics(own)
    images = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    answers = [network(images)[-1] for network in (own, torchs)]
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)
    for answer in answers:
        answer.square().sum().backward()
    for (name, mine), theirs in zip(own.named_parameters(), torchs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-3, msg=name)
    for mine, theirs in zip(own.buffers(), torchs.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_dealt_items_come_together_in_their_order(monkeypatch):
    shares = []
    for own in range(3):
        monkeypatch.setattr(ranks, "count", lambda: 3)
        monkeypatch.setattr(ranks, "rank", lambda own=own: own)
        shares.append(ranks.deal(list(range(8))))
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert ranks.undeal(shares) == list(range(8))


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    save_text(tmp_path / "a.txt", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    for step in ("fsync", "replace", "chmod"):
        with monkeypatch.context() as patch:
            patch.setattr(f"os.{step}", full)
            with pytest.raises(UserError, match="No space left on device.*free space"):
                save_text(tmp_path / "a.txt", "new")
        assert (tmp_path / "a.txt").read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


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


def test_a_journal_survives_a_line_that_was_cut(tmp_path):
    journal = Journal(tmp_path / "p.jsonl")
    journal.add("a", {"x": 1})
    journal.file.write('["b", {"x"')
    journal.file.close()
    again = Journal(tmp_path / "p.jsonl")
    assert again.results == {"a": {"x": 1}}
    again.add("b", "why")
    assert Journal(tmp_path / "p.jsonl").results == {"a": {"x": 1}, "b": "why"}
    again.finish()
    assert not (tmp_path / "p.jsonl").exists()


def test_overlapped_stages_keep_the_order_and_list_what_failed():
    written = []

    def fail_at(stage, bad):
        def work(item, *_):
            if item == bad:
                raise UserError(stage)
            return written.append(item) if stage == "write" else item

        return work

    stages = fail_at("read", 1), fail_at("compute", 3), fail_at("write", 7)
    told = [(item, error and str(error)) for item, error in overlapped(range(9), *stages, (UserError,))]
    assert [item for item, _ in told] == list(range(9))
    assert {item: error for item, error in told if error} == {1: "read", 3: "compute", 7: "write"}
    assert written == [0, 2, 4, 5, 6, 8]
    with pytest.raises(ZeroDivisionError):
        list(overlapped([0], lambda item: 1 / item, None, None, (UserError,)))
