"""What the scripts are made of: one sub-package per script, and `scans` and `system` for all of them."""

import os

# How long a thread of PyTorch on Linux (libgomp) looks for work before it sleeps: by default nearly for ever, so that
# two processes on the same cores wait for each other at a thirtieth of their rate. It is read once, when PyTorch is
# loaded, and so set before. See "Beside other work" in docs/speed.md.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
