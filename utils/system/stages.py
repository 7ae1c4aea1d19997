"""Reading, computing and writing at the same time, each on another item."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

AHEAD = 2  # items read before they are needed, and written while the next ones are computed


def overlapped(items, read, compute, write, errors):
    """Pass items through three stages that run side by side, the middle one on the caller's thread.

    Parameters
    ----------
    items : iterable
    read : callable
        Of an item.
    compute : callable
        Of an item and what was read.
    write : callable
        Of an item and what was computed.
    errors : tuple of exception types
        Errors of a single item, after which the others continue.

    Yields
    ------
    item, error or None
        In order, each when it is done.
    """
    items = iter(items)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        reading, writing = deque(), deque()

        def read_next():
            for item in items:
                reading.append((item, reader.submit(read, item)))
                return

        for _ in range(AHEAD):
            read_next()
        while reading:
            item, future = reading.popleft()
            read_next()
            try:
                computed = compute(item, future.result())
            except errors as error:
                writing.append((item, error))
            else:
                writing.append((item, writer.submit(write, item, computed)))
            while len(writing) > (AHEAD if reading else 0):
                item, future = writing.popleft()
                yield item, future if isinstance(future, errors) else _error_of(future, errors)


def _error_of(future, errors):
    """Wait for a write; returns an error of its item, and raises any other."""
    try:
        future.result()
    except errors as error:
        return error
    return None
