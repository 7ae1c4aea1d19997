"""Processes that hold back signals end with the one that started them."""

import subprocess
import sys

STARTED = """
import multiprocessing, time
from utils.system.signals import blocked
if __name__ == "__main__":
    with blocked():
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(120,), daemon=True)
        child.start()
    {end}
"""


def ends(end):
    return subprocess.run([sys.executable, "-c", STARTED.format(end=end)], capture_output=True, text=True, timeout=60)


def test_a_process_does_not_wait_for_one_that_holds_back_signals():
    assert ends("pass").returncode == 0


def test_nor_after_an_error():
    done = ends("raise ValueError('as of a sample that changed')")
    assert done.returncode == 1 and "as of a sample that changed" in done.stderr
