"""Processes that share the work on a machine, and end when the script that started them does."""

import contextlib
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from utils.system.files import UserError


@contextlib.contextmanager
def processes(jobs):
    """Give a pool of ``jobs`` processes.

    Those of the standard library wait for ever for more work when their script was killed, and finish all of
    it after an error: these end with the script, and with the first error.

    Raises
    ------
    UserError
        If one of them was ended from outside.
    """
    with ProcessPoolExecutor(jobs, initializer=_watch) as pool:
        try:
            yield pool
        except BrokenProcessPool:
            raise UserError(
                "one of the processes was ended from outside, most often for want of memory: run it again, with "
                "fewer --jobs"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _watch():
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
