"""How many cores there are to work on."""

import os

from utils.system.cores import cores


def test_the_cores_are_those_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 17}, raising=False)
    assert cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS and Windows have none
    assert cores() == 64
