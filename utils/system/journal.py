"""The finished parts of a long job, one line each, so that a job that was killed continues from there."""

import hashlib
import json
from pathlib import Path

from utils.system.files import cannot_be_written


def fingerprint(*parts, files=()):
    """Return a text that changes with the parts and with the names, sizes and dates of files."""
    facts = [repr(part) for part in parts]
    for file in files:
        try:
            status = file.stat()
            facts.append(f"{file} {status.st_size} {status.st_mtime_ns}")
        except OSError:
            facts.append(f"{file} cannot be read")
    return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


def read_journal(path):
    """Return the results by fingerprint of a job that is not finished; none where there is no such file."""
    results = {}
    if Path(path).exists():
        for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                key, result = json.loads(line)
                results[key] = result
            except (ValueError, TypeError):
                pass  # cut short by the end of that run
    return results


class Journal:
    """Results by fingerprint, in a file that exists only while the job is not finished.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    UserError
        If it cannot be written to.
    """

    def __init__(self, path):
        self.path, self.results = Path(path), read_journal(path)
        with cannot_be_written(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = open(self.path, "a", encoding="utf-8")
        self._write("\n")  # ends such a line

    def add(self, key, result):
        """Keep the result of a part of the job."""
        self.results[key] = result
        self._write(json.dumps([key, result]) + "\n")

    def _write(self, text):
        with cannot_be_written(self.path):
            self.file.write(text)
            self.file.flush()

    def finish(self):
        """End the whole job, and remove the file."""
        self.file.close()
        with cannot_be_written(self.path):
            self.path.unlink()
