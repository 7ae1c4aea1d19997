"""Prepared data of a training: recognised by their digest, and trained on or validated on, never both."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from builders import lumbar
from trainings import prepared

from utils.scans.prepared import digest_of, load_split
from utils.system.files import UserError
from utils.training.data import Data, check_unseen, unchanged

LEVELS = [21, 22, 23, 24, 25]


def test_a_scan_that_another_data_set_trains_on_is_no_validation_scan():
    first, second, third = (lumbar(top=top) for top in (40.0, 45.0, 50.0))
    for sample, name in ((first, "sub-1_T2w"), (second, "sub-2_T2w"), (third, "sub-3_T2w")):
        sample.name, sample.slabs = name, np.full((2, 8, 8), sample.points[0, 0] / 100, np.float16)

    def check(train, val):
        check_unseen(SimpleNamespace(train=train, val=val, folders={}))

    check({"a": [first], "b": [second]}, {"a": [third], "b": []})
    twin = replace(first, name="sub-other_T2w", points=first.points + 1)
    reason = "^sub-other_T2w of the validation split of b is sub-1_T2w of the training split of a"
    with pytest.raises(UserError, match=reason):
        check({"a": [first], "b": [second]}, {"a": [third], "b": [twin]})
    check({"a": [], "b": [second]}, {"a": [third], "b": [twin]})


def test_a_scan_that_another_data_set_trains_on_is_no_test_scan(tmp_path):
    # Of three scans 0, 1 and 2, b tests on 1, which in a is one to train on, under another name.
    data = Data([prepared(tmp_path / "a", LEVELS, 3), prepared(tmp_path / "b", LEVELS, 3, tests=1)])
    for sets in (data.train, data.val):  # both validate on 0, which neither trains on
        assert all(len(samples) for samples in sets.values())
    with pytest.raises(UserError, match="^sub-b1_T2w of the test split of b is sub-a1_T2w of the training split of a"):
        check_unseen(data)
    check_unseen(Data([prepared(tmp_path / "c", LEVELS, 3, tests=1), tmp_path / "b"]))


def test_the_digest_is_of_the_samples_to_train_and_to_validate_on(tmp_path):
    folders = [prepared(tmp_path / name, LEVELS, 4, tests=1) for name in "ab"]
    data = Data(folders)
    (train, other_train), (val, other_val) = data.train.values(), data.val.values()
    assert [len(own) for own in (train, val, other_train, other_val)] == [2, 1, 2, 1]
    assert data.digest() == digest_of([*train, *val, *other_train, *other_val], 2, 2, LEVELS, 1.0, 4.0)
    assert data.digest() != Data(folders[:1]).digest()


def test_a_run_knows_whether_its_data_changed(tmp_path):
    folder = prepared(tmp_path / "a", LEVELS, 4, tests=1)
    run = {"data": [str(folder)], "samples": Data([folder]).digest()}
    assert unchanged(run) and unchanged({"data": None, "samples": None}) and unchanged({"data": str(folder)})
    prepared(folder, LEVELS, 4, tests=2)  # a scan to train on becomes one to test on
    assert not unchanged(run) and len(load_split(folder, "train")) == 1
    prepared(folder, LEVELS, 4, tests=1)
    assert unchanged(run)
