"""What is done of a long job, a line each, so that it goes on from there after it was killed."""

import hashlib
import json
from pathlib import Path

from utils.system.files import cannot_be_written


def fingerprint(*parts, files=()):
    """Return a text that changes with the parts and with the names, sizes and dates of files."""
    told = [repr(part) for part in parts]
    for file in files:
        try:
            status = file.stat()
            told.append(f"{file} {status.st_size} {status.st_mtime_ns}")
        except OSError:
            told.append(f"{file} cannot be read")
    return hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()


class Progress:
    """Results by fingerprint, in a file that is there only while the job is not finished.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    UserError
        If it cannot be written to.
    """

    def __init__(self, path):
        self.path, self.results = Path(path), {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    key, result = json.loads(line)
                    self.results[key] = result
                except (ValueError, TypeError):
                    pass  # cut short by the end of that run
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
        """Tell that the whole job is done."""
        self.file.close()
        with cannot_be_written(self.path):
            self.path.unlink()
