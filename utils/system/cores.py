"""How many cores there are to work on."""

import os


def cores():
    """Return the number of cores that this process may use, of which a job often has fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
