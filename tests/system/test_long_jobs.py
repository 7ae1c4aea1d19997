"""Long jobs: the journal of what is done, and stages that run side by side."""

import pytest

from utils.system.files import UserError
from utils.system.journal import Journal
from utils.system.stages import overlapped


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
    ended = [(item, error and str(error)) for item, error in overlapped(range(9), *stages, (UserError,))]
    assert [item for item, _ in ended] == list(range(9))
    assert {item: error for item, error in ended if error} == {1: "read", 3: "compute", 7: "write"}
    assert written == [0, 2, 4, 5, 6, 8]
    with pytest.raises(ZeroDivisionError):
        list(overlapped([0], lambda item: 1 / item, None, None, (UserError,)))
