"""How far a long job is: a bar on a terminal, now and then a line in a log."""

import sys
import time

from tqdm import tqdm

EVERY_S = 10


def progress(items, total, unit):
    """Yield the items of a long job and show on stderr how many are done.

    On a terminal that is a bar. Elsewhere (a SLURM log, a pipe) it is one line about every ten seconds and one
    at the end.

    Parameters
    ----------
    items : iterable
    total : int
        Number of items.
    unit : str
        What an item is, in the singular.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, unit=unit)
        return
    began = reported = time.monotonic()
    done = 0
    for item in items:
        yield item
        done, now = done + 1, time.monotonic()
        if now - reported >= EVERY_S and done < total:
            left = (now - began) / done * (total - done)
            _report(f"{done} of {total} {unit}s, {tqdm.format_interval(left)} left")
            reported = now
    if done:
        _report(f"{done} of {total} {unit}s in {tqdm.format_interval(time.monotonic() - began)}")


def _report(text):
    print(text, file=sys.stderr, flush=True)
