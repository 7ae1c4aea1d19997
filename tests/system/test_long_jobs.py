"""Long jobs: the journal of what is done, and stages that run side by side."""

import os
import signal
import subprocess
import sys
from pathlib import Path

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


IDLE = """
import sys, time
from utils.system.pool import processes
from utils.system.files import run

def work(number):
    print(number, flush=True)
    time.sleep(1.5)

def main():
    with processes(3) as pool:
        list(pool.map(work, range(2)))

run(main)
"""


def test_ctrl_c_says_one_word_whether_processes_work_or_wait(tmp_path):
    (tmp_path / "script.py").write_text(IDLE)
    script = subprocess.Popen(
        [sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert {script.stdout.readline(), script.stdout.readline()} == {"0\n", "1\n"}  # two of three are at work
    os.killpg(script.pid, signal.SIGINT)
    _, said = script.communicate(timeout=60)
    assert script.returncode != 0 and "Traceback" not in said and said.count("\n") <= 1
