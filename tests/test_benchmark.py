"""The benchmark measures what its table states; no test asserts a time."""

import json
import subprocess

import numpy as np
import pytest
import torch

import benchmark
from speed import beside, formats, memory, network, published, scans, search, until
from speed.timing import STATUS, Row, medians, most_memory
from utils.discs import LEVELS
from utils.inference.heatmaps import render, to_heatmap
from utils.scans.prepared import load_split
from utils.system.files import UserError

CPU = torch.device("cpu")
SMALL = {"stacks": 2, "blocks": 1, "features": 8}


def test_the_plain_way_is_the_published_network():
    shape = {"stacks": 2, "blocks": 1, "features": 256}
    # As counted in the released code: 18.5 GFLOP forward and 36.7 backward for one image and 11 discs.
    assert network.flops(shape, 3, 11, training=False) / 1e9 == pytest.approx(18.5, abs=0.2)
    assert network.flops(shape, 3, 11) / 1e9 == pytest.approx(18.5 + 36.7, abs=0.6)
    assert (published.BATCH, published.SIZE) == (3, 256)


def test_heatmaps_are_the_same_in_either_way():
    points = np.random.default_rng(0).uniform(0, 256, (5, 2))
    ours = render(points, np.arange(5), 5, (256, 256), 4.0, 1.0)
    np.testing.assert_allclose(published.render_heatmaps(to_heatmap(points), 64), ours, atol=1e-6)


def test_all_combinations_find_the_skeleton_itself():
    mean = np.array([[0, 0], [30.0, 2], [60, 3]])
    true = [(np.array([[99.0, 99], place + 7, [200, 5]]), np.ones(3)) for place in mean]
    assert published.all_combinations(true, mean) == pytest.approx(0, abs=1e-9)


def test_times_are_medians_after_a_warm_up(monkeypatch):
    clock, calls = iter(np.cumsum([0, 9, 1, 9, 0, 1, 0, 2, 0, 3, 0, 4, 0, 7, 0, 6.0])), []
    monkeypatch.setattr("speed.timing.time.perf_counter", lambda: next(clock))
    assert medians([lambda: calls.append("a"), lambda: calls.append("b")], 3) == [3000.0, 4000.0]
    assert calls == ["a", "b"] * 4  # they take turns


def test_each_of_two_trainings_at_once_has_a_rate():
    assert len(found := beside.rates(2, 1, seconds=0.5, start=0, features=8)) == 2 and all(rate > 0 for rate in found)


@pytest.mark.parametrize(
    ("module", "flags"), [(formats, ["--repeats"]), (beside, ["--batch-size"]), (until, ["--data", "x", "--seeds"])]
)
def test_measuring_nothing_is_an_error(module, flags, capsys):
    with pytest.raises(SystemExit):
        module.main([*flags, "0"])
    assert f"argument {flags[-1]}: 0 is not a whole number of 1 or more" in capsys.readouterr().err


def test_both_number_formats_are_timed():
    threads = torch.get_num_threads()
    found = formats.cpu_times(1, features=8)
    torch.set_num_threads(threads)
    assert list(found) == ["bfloat16", "float32"] and min(found.values()) > 0


def test_a_row_shows_the_ratio_and_leaves_out_what_was_not_compared():
    assert str(Row("a", 2.0, "b", 5.0, "more")) == "| a | 2 ms | b | 5 | 2.50 | more |"
    assert str(Row("a", 2.0, unit="MB")) == "| a | 2 MB |  |  |  |  |"
    assert str(Row("a", float("nan"), "b", 5.0)) == "| a | - ms | b | 5 | - |  |"


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not report it")
def test_memory_is_that_of_the_process_and_not_of_this_one():
    small, large = (most_memory(f"b = b'1' * {size}") for size in (1, 100_000_000))
    assert 90 < large - small < 110
    with pytest.raises(subprocess.CalledProcessError):
        most_memory("raise SystemExit(3)")


def test_all_subjects_of_a_tree_share_one_scan(tmp_path):
    found = scans.make_tree(tmp_path / "tree", 3, voxel_mm=4.0)
    assert [scan.subject for scan in found] == ["sub-001", "sub-002", "sub-003"]
    assert len({scan.image.stat().st_ino for scan in found}) == 1
    assert all(scan.label.is_file() for scan in found)
    (sample,) = scans.samples_of(found[:1], tmp_path / "out")
    assert set(sample.levels) <= set(LEVELS) and len(sample.levels) > 5


def test_trainings_are_fed_as_many_images_from_every_source(tmp_path, monkeypatch):
    monkeypatch.setattr(network, "SUBJECTS", 1)
    monkeypatch.setattr(network, "STEPS", 2)
    samples = scans.samples_of(scans.make_tree(tmp_path / "tree", 1, voxel_mm=4.0), tmp_path / "out")
    train = network.trainer(CPU, SMALL)
    for name, batches in network.sources(CPU, 1, samples).items():
        shapes = [tuple(images.shape) for images, *_ in batches()]
        assert shapes == [(1, 1, 256, 256)] * 2, name
        losses = train(batches())
        assert len(losses) == 2 and np.isfinite(losses).all(), name


def test_samples_for_the_measurement_of_memory_differ_in_name_alone(tmp_path):
    size = memory.make_data(tmp_path, 16)
    splits = {split: load_split(tmp_path, split) for split in ("train", "val", "test")}
    assert [len(samples) for samples in splits.values()] == [16, 2, 16]
    first, *rest = splits["train"]
    assert size == (first.image.nbytes + first.slabs.nbytes) / 2**20
    assert len({sample.name for sample in splits["train"]}) == 16
    assert all(np.array_equal(sample.image, first.image) for sample in rest)


def test_a_training_has_reached_an_error_once_an_epoch_has_it(tmp_path):
    log = tmp_path / "log.jsonl"
    assert not until.reached(log, 0.1)
    log.write_text(json.dumps({"identified": 0.5}) + "\n")
    assert not until.reached(log, 0.1)
    log.write_text('{"identified": null}\n{"identified": NaN}\n')  # NaN by earlier versions
    assert not until.reached(log, 0.1)
    log.write_text("".join(json.dumps({"identified": share}) + "\n" for share in (0.5, 0.95, 0.7)))
    assert until.reached(log, 0.1)
    log.write_text('{"identified": 0.7}\n')
    assert until.reached(log, 0.3) and not until.reached(log, 0.29)  # though 1 - 0.7 is 0.30000000000000004


LOGS = """
import sys, time
from pathlib import Path
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert (flags["--recipe"], flags["--seed"]) == ("published", "2")
out = Path(flags["--out"])
out.mkdir()
(out / "log.jsonl").write_text('{"identified": 0.8}\\n')
time.sleep(float(flags["--data"]))
"""


def test_a_training_is_timed_until_an_epoch_is_good_enough(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text(LOGS)
    monkeypatch.setattr("speed.until.ROOT", tmp_path)
    assert 0 < until.time_until(0.3, 60, "published", seed=2) < 60  # it is stopped then
    assert until.time_until(0.1, 0, "published", seed=2) == float("inf")  # it ends without
    assert until.time_until(0.1, 60, "published", seed=2, limit=1) == float("inf")


def test_both_recipes_are_timed_with_every_seed(monkeypatch, capsys):
    limits = []

    def time_until(error, data, recipe, seed, device, limit):
        limits.append((recipe, seed, limit))
        return {"default": 10.0 + 4 * seed, "published": float("inf")}[recipe]

    monkeypatch.setattr("speed.until.time_until", time_until)
    until.main(["--data", "x", "--seeds", "2"])
    never = float("inf")
    assert limits == [("default", 0, never), ("published", 0, 100), ("default", 1, never), ("published", 1, 140)]
    out, err = capsys.readouterr()
    assert out.splitlines()[2:] == ["| default | 12 | 10 | 14 |", "| published | - | - | - |"]
    assert err.splitlines()[:2] == ["default, seed 0: 10 s", "published, seed 0: - s"] and len(err.splitlines()) == 4


def test_a_training_that_fails_is_no_time(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        until.time_until(0.1, tmp_path / "nowhere", "default")


def test_the_table_is_printed_and_saved(tmp_path, monkeypatch, capsys):
    def few_rows(args, device, folder):
        yield Row("train, one image", 2.0, "plain", 1000.0)
        yield search.heatmap_row(1)

    monkeypatch.setattr(benchmark, "measure", few_rows)
    benchmark.main(["--out", str(tmp_path / "table.json"), "--device", "cpu"])
    saved = json.loads((tmp_path / "table.json").read_text())
    assert [row["stage"] for row in saved["rows"]] == ["train, one image", "render 25 heatmaps of 64 x 64"]
    assert saved["rows"][0]["ratio"] == 500 and saved["threads"] >= 1 and saved["device"]
    printed = capsys.readouterr().out
    assert "| train, one image | 2 ms | plain | 1000 | 500.00 |  |" in printed and "SLOWER" in printed
