"""Prepared data on disk: samples are read when they are needed, a few at a time, and must stay as they are."""

import hashlib
import os
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from builders import lumbar

import evaluate
import train
from utils.discs import LEVELS
from utils.inference.labeller import Labeller
from utils.scans import prepared
from utils.scans.prepared import digest_of, load_split
from utils.scans.sample import Sample, load_sample, save_sample
from utils.system.files import UserError, save_json, save_npz, save_table
from utils.training.recipes import RECIPES

COUNT = 12  # samples of each split
ALIVE = 3  # the one at work, and those before it as long as a loop or a generator has not gone on


@pytest.fixture
def data(tmp_path):
    """Return a prepared data set in which each split has twelve samples."""
    folder, rows = tmp_path / "data", []
    for split in ("train", "val", "test"):
        for index in range(COUNT):
            subject = f"sub-{split}{index:02d}"
            sample = replace(lumbar((192, 96), 20.0 + 2 * index), name=f"{subject}_T2w", subject=subject, group="")
            save_sample(folder / "samples" / f"{subject}.npz", sample, np.zeros((24, 48, 24)))
            rows.append([f"samples/{subject}.npz", sample.name, subject, "T2w", split])
    save_table(folder / "samples.tsv", [["file", "name", "subject", "contrast", "split"], *rows], "\t")
    save_json(folder / "summary.json", {"levels": list(LEVELS), "resolution": 1.0, "sigma": 4.0})
    torch.set_num_threads(1)
    return folder


@pytest.fixture
def alive(monkeypatch):
    """Return a dict with how many samples were read, and of how many the slabs are and at the most were in memory."""
    counts, read = {"read": 0, "now": 0, "most": 0}, prepared._Stored.read

    def gone():
        counts["now"] -= 1

    def counted(stored):
        sample = read(stored)
        whole = sample.slabs if sample.slabs.base is None else sample.slabs.base  # which all views of it keep
        weakref.finalize(whole, gone)
        counts["read"] += 1
        counts["now"] += 1
        counts["most"] = max(counts["most"], counts["now"])
        return sample

    monkeypatch.setattr(prepared._Stored, "read", counted)
    return counts


def training(data, out, *flags):
    shape = ["--features", "16", "--stacks", "1", "--epochs", "1", "--no-amp", "--device", "cpu"]
    return train.main(["--data", str(data), "--out", str(out), *shape, *flags])


def test_samples_are_those_of_the_files(data):
    samples = load_split(data, "val")
    assert len(samples) == COUNT and [s.name for s in samples] == [f"sub-val{i:02d}_T2w" for i in range(COUNT)]
    for sample, light in zip(samples, samples.without_pixels(), strict=True):
        whole = load_sample(data / "samples" / f"{sample.subject}.npz")
        for part in Sample.__dataclass_fields__.keys() - {"plane"}:
            np.testing.assert_array_equal(getattr(sample, part), getattr(whole, part))
            assert part in prepared.PIXELS or np.array_equal(getattr(light, part), getattr(whole, part))
        assert (sample.image.dtype, sample.slabs.dtype) == (np.float32, np.float32)
        assert light.image is None and light.slabs is None and light.spacing == 1.0
    assert [s.name for s in samples[2:4]] == ["sub-val02_T2w", "sub-val03_T2w"]
    with pytest.raises(IndexError):
        samples[COUNT]


def test_the_digest_of_older_data_is_that_of_their_half_precision_slabs(data):
    """Which runs on them hold; the hash is taken here as it was before slabs were whole numbers."""
    path = data / "samples" / "sub-val00.npz"
    with np.load(path) as stored:
        slabs = (stored["slabs"] / 65535).astype(np.float16)
        save_npz(path, ("image", "slabs"), **{**stored, "slabs": slabs})
    sample = load_sample(path)
    sha = hashlib.sha256(repr((3, "a")).encode())
    sha.update(b"sub-val00_T2w")
    for part in (sample.points, sample.levels, sample.states, sample.across, sample.image, slabs):
        sha.update(part.tobytes())
    assert digest_of([sample], 3, "a") == sha.hexdigest()


def test_a_split_without_samples_is_an_error_that_fits_every_script(data):
    save_table(data / "samples.tsv", [["file", "name", "subject", "contrast", "split"]], "\t")
    with pytest.raises(UserError) as error:
        load_split(data, "val")
    advice = "prepare the data again, with subjects for it by --split or --split-file"
    assert str(error.value) == f"the split 'val' of {data} holds no sample: {advice}"


def test_compressed_files_of_other_software_are_read_too(data):
    path = data / "samples" / "sub-val00.npz"
    with np.load(path) as stored:
        np.savez_compressed(path, **stored)
    np.testing.assert_array_equal(load_split(data, "val")[0].slabs, load_sample(path).slabs)


def test_a_training_holds_a_few_samples_at_a_time(data, tmp_path, alive, monkeypatch):
    monkeypatch.setattr("utils.training.engine.CALIBRATION_VIEWS", 4)
    monkeypatch.setitem(RECIPES["default"], "least_slices", 16)
    assert training(data, tmp_path / "run") == 0
    # All for the digest, 16 training images, validation twice, calibration; the animation shows four at once.
    assert alive["read"] == 2 * COUNT + 16 + 2 * COUNT + COUNT + 4 + train.SHOWN
    assert alive["most"] <= train.SHOWN + 1


def test_an_evaluation_holds_a_few_samples_and_heatmaps_at_a_time(data, tmp_path, alive, monkeypatch):
    label, now, most = Labeller.label, weakref.WeakSet(), []

    class Mark:
        """Lives as long as the prediction that refers to it."""

    def counted(*args):
        prediction = label(*args)
        prediction.mark = Mark()
        now.add(prediction.mark)
        most.append(len(now))
        return prediction

    monkeypatch.setattr(Labeller, "label", counted)
    evaluate.main(["--data", str(data), "--out", str(tmp_path / "out"), "--windows", "3", "--device", "cpu"])
    assert len(most) == 3 * COUNT and max(most) <= ALIVE  # whole, on the labels' plane, and cut to three discs
    assert alive["read"] >= 2 * COUNT and alive["most"] <= ALIVE


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_file_that_changes_during_a_training_is_named(data, tmp_path, monkeypatch, workers):
    path, learn = data / "samples" / "sub-train03.npz", train.learn_prior
    monkeypatch.setattr(train, "learn_prior", lambda *args: os.utime(path, (1, 1)) or learn(*args))
    with pytest.raises(UserError) as error:
        training(data, tmp_path / "run", "--workers", workers)
    assert str(error.value) == (
        f"{path} was changed or removed while it was in use: run the same again, and leave prepared data as they are "
        "meanwhile"
    )


def test_a_file_that_vanishes_during_an_evaluation_is_named(data, tmp_path, monkeypatch):
    path, label = data / "samples" / "sub-test05.npz", Labeller.label

    def removing(*args):
        path.unlink(missing_ok=True)
        return label(*args)

    monkeypatch.setattr(Labeller, "label", removing)
    with pytest.raises(UserError, match="sub-test05.npz was changed or removed while it was in use"):
        evaluate.main(["--data", str(data), "--out", str(tmp_path / "out"), "--device", "cpu"])
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_a_file_that_is_gone_from_the_start_is_no_sample(data):
    (data / "samples" / "sub-val00.npz").unlink()
    with pytest.raises(UserError, match="sub-val00.npz is no prepared sample: run prepare_spinegeneric.py again"):
        load_split(data, "val")
