"""Processes that share the work on a machine, and end with the script that started them."""

import contextlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from utils.system.files import UserError


@contextlib.contextmanager
def processes(jobs):
    """Yield a pool of ``jobs`` processes.

    The standard library's processes wait for more work for ever once their script was killed, and after an error
    finish all that was submitted. These end with the script, and at the first error.

    Raises
    ------
    UserError
        If one of them was killed.
    """
    with ProcessPoolExecutor(jobs, initializer=_watch) as pool:
        try:
            yield pool
        except BrokenProcessPool:
            raise UserError(
                "one of the processes was killed, most often for want of memory: run it again with fewer --jobs"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def _watch():
    # Ctrl-C reaches the script as well, which ends them; an idle one would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
