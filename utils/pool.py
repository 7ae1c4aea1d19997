"""Processes that share the work on a machine, and end when the script that started them does."""

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait


def processes(jobs):
    """Return a pool of ``jobs`` processes.

    Those of the standard library wait for ever for more work when their script was killed: these end with it.
    """
    return ProcessPoolExecutor(jobs, initializer=_watch)


def _watch():
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
