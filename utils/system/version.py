"""The version of the code."""

import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = "models", "utils"  # with the scripts beside them


def code_version():
    """Return the commit of the code; outside of a git checkout of its own, a digest of its sources."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    # Without this limit git would take the commit of a repository that the software was unpacked into.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(ROOT.parent)}
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        sources = sorted(ROOT.glob("*.py")) + sorted(file for part in PARTS for file in (ROOT / part).rglob("*.py"))
        return f"sources-{hashlib.sha256(b''.join(file.read_bytes() for file in sources)).hexdigest()[:8]}"
