"""How long something takes, and how much memory, beside something to compare with."""

import math
import re
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from utils.system.numbers import number

ROOT = Path(__file__).parents[1]
STATUS = Path("/proc/self/status")


@dataclass
class Row:
    """One measurement.

    Attributes
    ----------
    stage : str
    value : float
        NaN where it was not measured.
    beside : str
        What it is compared with; empty if with nothing.
    other : float
        Of that.
    target : str
    unit : str
    """

    stage: str
    value: float
    beside: str = ""
    other: float = float("nan")
    target: str = ""
    unit: str = "ms"

    @property
    def ratio(self):
        """How many times as much the other takes."""
        return self.other / self.value

    def to_dict(self):
        """Return what the JSON holds."""
        return {**asdict(self), "ratio": self.ratio}

    def __str__(self):
        """Return the row of the table."""
        other = [short(self.other), number(self.ratio)] if self.beside else ["", ""]
        cells = [self.stage, f"{short(self.value)} {self.unit}", self.beside, *other, self.target]
        return f"| {' | '.join(cells)} |"


def short(value):
    """Return a number with three digits, or all those before the point; a dash if it is not defined."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


HEAD = "| stage | takes | beside | takes | ratio | target |\n|---|---|---|---|---|---|"


def medians(works, repeats, device=None):
    """Return the median time of each call in ms, after one that is not timed.

    They take turns: whatever else the machine does meanwhile slows all of them.
    """
    times = [[] for _ in works]
    for _ in range(repeats + 1):
        for own, work in zip(times, works, strict=True):
            _wait(device)
            began = time.perf_counter()
            work()
            _wait(device)
            own.append(1e3 * (time.perf_counter() - began))
    return [statistics.median(own[1:]) for own in times]


def _wait(device):
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def start(code, *arguments):
    """Run Python code in a process of its own, in the project's folder; returns what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def most_memory(code, *arguments):
    """Return the peak memory in MB of Python code in a process of its own; NaN where the system does not report it."""
    # What wait4 reports of a process includes the one that started it.
    output = start(f"{code}\nprint(*open('/proc/self/status'))" if STATUS.exists() else code, *arguments)
    found = re.search(r"VmHWM:\s*(\d+) kB", output)
    return int(found[1]) / 1024 if found else float("nan")
