"""The version of the code."""

import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = "models", "utils", "predict.py", "prepare_spinegeneric.py"  # what decides the outputs
KINDS = ".py", ".js", ".css", ".html"


def code_version():
    """Return the commit of the code; outside of a git checkout of its own, a digest of its sources."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    # Without these git would take the commit of a repository that the software was unpacked into, or is called from.
    environment = {key: value for key, value in os.environ.items() if key not in ("GIT_DIR", "GIT_WORK_TREE")}
    environment["GIT_CEILING_DIRECTORIES"] = str(ROOT.parent)
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        files = [file for part in PARTS for file in (ROOT / part, *sorted((ROOT / part).rglob("*")))]
        sources = b"".join(file.read_bytes() for file in files if file.suffix in KINDS)
        return f"sources-{hashlib.sha256(sources).hexdigest()[:8]}"
