"""Lines of progress, by a clock that the test moves; and numbers that are not defined."""

import io
import math
import sys

import pytest

from utils.system.numbers import number
from utils.system.progress import progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("utils.system.progress.time.monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_line_comes_every_ten_seconds_and_at_the_end(clock, capsys):
    for _ in progress(range(8), 8, "scan"):
        clock[0] += 4
    # Items end at 4, 8, 12, ...: ten seconds have passed at 12 and, from there, at 24.
    assert capsys.readouterr().err.splitlines() == [
        "3 of 8 scans, 00:20 left",
        "6 of 8 scans, 00:08 left",
        "8 of 8 scans in 00:32",
    ]


def test_the_last_item_is_reported_once(clock, capsys):
    for _ in progress(iter("ab"), 2, "subject"):
        clock[0] += 11
    assert capsys.readouterr().err.splitlines() == ["1 of 2 subjects, 00:11 left", "2 of 2 subjects in 00:22"]


def test_nothing_to_do_says_nothing(capsys):
    assert list(progress([], 0, "scan")) == []
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(progress("abc", 3, "scan")) == ["a", "b", "c"]
    assert "3/3" in sys.stderr.getvalue() and "\r" in sys.stderr.getvalue()


@pytest.mark.parametrize(("value", "text"), [(1.234, "1.23"), (math.nan, "-"), (math.inf, "-"), (0, "0.00")])
def test_a_number_that_is_not_defined_is_a_dash(value, text):
    assert number(value) == text
