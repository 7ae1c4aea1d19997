"""Bootstrap over subjects: by hand where it can be."""

import numpy as np
import pytest

from utils.evaluation.cases import Case, compare
from utils.evaluation.comparison import compare_runs
from utils.evaluation.intervals import differences, intervals, subject_sums
from utils.evaluation.scores import score
from utils.evaluation.tables import disc_rows, interval_line, read_discs_csv
from utils.report.evaluation import headline
from utils.system.files import UserError, save_json, save_table


def discs(subject, identified=0, missed=0, far=0, extra=0, error=1.0):
    outcomes = ["identified"] * identified + ["missed"] * missed + ["far"] * far + ["extra"] * extra
    return [(subject, outcome, error) for outcome in outcomes]


def test_sums_by_hand():
    rows = discs("b", 3, 1, 1, 2, error=2.0) + discs("a", 1) + [("a", "unknown", np.nan)]
    sums = subject_sums(rows, ["a", "b"])
    np.testing.assert_array_equal(sums["identified"], [[1, 1], [3, 5]])
    np.testing.assert_array_equal(sums["fn_rate"], [[0, 1], [2, 5]])
    np.testing.assert_array_equal(sums["fp_rate"], [[0, 1], [3, 6]])
    np.testing.assert_array_equal(sums["dtt_mean"], [[1, 1], [6, 3]])


def test_no_spread_between_subjects_gives_no_interval():
    rows = [row for subject in "abcd" for row in discs(subject, 3, 1)]
    assert intervals(rows)["identified"] == [0.75, 0.75]


def test_no_error_in_any_subject_leaves_the_chance_of_one():
    rows = [row for subject in "abcd" for row in discs(subject, 3)]
    found = intervals(rows)
    # 0.05 ** (1 / 4) = 0.4729: with that chance per subject to be free of errors, 4 of 4 are so in 5 % of samples.
    np.testing.assert_allclose(found["identified"], [0.4729, 1.0], atol=1e-4)
    np.testing.assert_allclose(found["fn_rate"], [0.0, 0.5271], atol=1e-4)
    np.testing.assert_allclose(intervals(rows[:6] + discs("c", 0, 3))["identified"], [0.0, 1.0])  # one of three differs
    np.testing.assert_allclose(intervals(discs("a", 0, 1) + discs("b", 0, 2))["identified"], [0.0, 1 - 0.05**0.5])


def test_the_interval_agrees_with_the_binomial_for_one_disc_a_subject():
    rows = [row for i in range(100) for row in discs(f"p{i}", i < 80, i >= 80)]
    low, high = intervals(rows)["identified"]
    # 0.8 with a standard error of sqrt(0.8 * 0.2 / 100) = 0.04.
    assert low == pytest.approx(0.8 - 1.96 * 0.04, abs=0.015) and high == pytest.approx(0.8 + 1.96 * 0.04, abs=0.015)


def test_runs_are_compared_subject_by_subject():
    first = [row for i in range(30) for row in discs(f"p{i}", 2 + i % 3, 1)]
    second = [row for i in range(30) for row in discs(f"p{i}", 2 + i % 3, 1, error=1.5)]
    one, two, change, limits = differences(first, second)["dtt_mean"]
    assert (one, two, change) == (1.0, 1.5, 0.5)
    np.testing.assert_allclose(limits, [0.5, 0.5])  # the same change in all: no spread, though subjects differ


def test_a_subject_without_a_disc_in_one_run_is_compared():
    # Two true discs of a, and in b a false disc of the second run alone: 0 of 2 false, and 1 of 3.
    one, two, _, _ = differences(discs("a", 2), discs("a", 2) + discs("b", extra=1))["fp_rate"]
    assert (one, two) == (0.0, pytest.approx(1 / 3))


def test_one_subject_has_no_interval():
    # b has no disc that was identified, and so no part in the distances.
    first, second = (discs("a", 3, 1, error=error) + discs("b", 0, 2) for error in (1.0, 1.5))
    assert np.isnan(intervals(first)["dtt_mean"]).all() and intervals(first)["identified"] == [0.0, 0.75]
    one, two, change, limits = differences(first, second)["dtt_mean"]
    assert (one, two, change) == (1.0, 1.5, 0.5) and np.isnan(limits).all()
    assert differences(first, second)["identified"][2] == 0.0
    assert np.isnan(differences(first, second)["identified"][3]).all()  # both runs agree in a and in b


def test_runs_that_agree_in_every_subject_have_no_interval():
    rows = discs("a", 3) + discs("b", 2, 1)
    one, two, change, limits = differences(rows, rows)["identified"]
    assert (one, two, change) == (5 / 6, 5 / 6, 0.0) and np.isnan(limits).all()
    other = discs("a", 2, 1) + discs("b", 3)  # as many, but of other subjects
    assert differences(rows, other)["identified"][2] == 0.0
    # Where a resample is a alone, 3 of 3 fall to 2 of 3; where it is b alone, they rise.
    np.testing.assert_allclose(differences(rows, other)["identified"][3], [-1 / 3, 1 / 3])


def test_nothing_found_is_not_a_number():
    assert np.isnan(intervals(discs("a", 0, 3))["dtt_mean"]).all()
    assert np.isnan(intervals([])["identified"]).all()
    assert np.isnan(differences([], [])["identified"][:3]).all()


def test_subjects_who_are_the_same_participant_are_resampled_as_one(tmp_path, capsys):
    """Two subjects who are the same participant leave nothing to resample; as two participants they do."""
    certain, nowhere = np.ones(1), np.zeros((1, 2))
    for group, low in (("p", np.nan), ("", 0.0)):
        found = [np.zeros((1, 2)), np.full((1, 2), 99.0)]
        cases = [
            Case(
                s,
                s,
                "T2w",
                "",
                np.array([21]),
                nowhere,
                np.array([21]),
                points,
                certain,
                np.ones(26),
                certain,
                certain,
                group,
            )
            for s, points in zip(("sub-1", "sub-2"), found, strict=True)
        ]
        scores = score(cases, [21], "labelled", 1.0)
        np.testing.assert_equal(scores["interval_95"]["identified"][0], low)
        said = "1 subject (bootstrap): identified -, FN -" if group else "2 subjects (bootstrap): identified 0.0"
        assert said in interval_line(scores)
        assert headline(scores)[0][0] == f"identified, 95 % interval {'-' if group else '0.0 to 100.0 %'}"
        save_table(tmp_path / f"run{group}" / "discs.csv", disc_rows([row for c in cases for row in compare(c, [21])]))
        assert set(read_discs_csv(tmp_path / f"run{group}")[2].values()) == ({"p"} if group else {"sub-1", "sub-2"})
    # An earlier version's table beside one of this version, in which another disc of sub-2 was found.
    text = (tmp_path / "run" / "discs.csv").read_text().replace(",group,", ",none,").replace("identified", "missed")
    (tmp_path / "run" / "discs.csv").write_text(text)
    compare_runs(tmp_path / "runp", tmp_path / "run")
    assert "identified, % | 50.00 | 0.00 | -50.00 | - |" in capsys.readouterr().out
    compare_runs(tmp_path / "run", tmp_path / "runp")
    assert "identified, % | 0.00 | 50.00 | +50.00 | - |" in capsys.readouterr().out


def test_runs_that_were_scored_on_other_levels_are_not_compared(tmp_path):
    for run, levels in (("a", [21, 22]), ("b", [21, 22, 23])):
        (tmp_path / run).mkdir()
        row = "s,21,identified,1.5,s,s"
        (tmp_path / run / "discs.csv").write_text(f"scan,level,outcome,error_mm,subject,group\n{row}\n")
        save_json(tmp_path / run / "metrics.json", {"levels": levels})
    with pytest.raises(UserError, match="cannot be compared: .* --split and --levels"):
        compare_runs(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("scan,level,outcome,error_mm,subject", 'a,21,identified,"1,5",s'),
        ("scan,level,outcome,error_mm", "a,21,identified,1.5"),
        ("scan,level,outcome,error_mm,subject", "a,21,identified,1.5"),  # cut short
    ],
)
def test_a_table_that_was_changed_is_an_error(head, row, tmp_path):
    (tmp_path / "discs.csv").write_text(f"{head}\n{row}\n")
    with pytest.raises(UserError, match="discs.csv was changed since evaluate.py wrote it: run evaluate.py again"):
        read_discs_csv(tmp_path)


def test_subjects_without_a_disc_of_the_scored_levels_are_not_counted():
    nothing, states = np.zeros(0, int), np.full(26, -1)
    cases = [
        Case(s, s, "T2w", "x", np.array(levels, int), np.full((len(levels), 2), 9.0), np.array(levels, int),
             np.full((len(levels), 2), 9.0), np.ones(len(levels)), states, np.zeros(len(levels)), np.zeros(len(levels)))
        for s, levels in (("a", [21]), ("b", [21]), ("c", [3]), ("d", nothing))
    ]  # fmt: skip
    scores = score(cases, [21], "labelled", 1.0)
    # Two of two: 0.05 ** (1 / 2) is 0.2236.
    assert scores["n_subjects"] == 2 and scores["interval_95"]["identified"] == pytest.approx([0.2236, 1.0], abs=1e-4)
