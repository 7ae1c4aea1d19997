"""Which files of a folder this software wrote, so that it never replaces or removes any other."""

import hashlib
import json
from pathlib import Path, PurePosixPath

from utils.system.files import UserError, save_json

FILE = "manifest.json"
TOOL = "disc-labels"


class Manifest:
    """The files written into a folder, with the digest of each, in its ``manifest.json``.

    A file is ours if its content is what was recorded, or if it was claimed and its writing was interrupted.

    Parameters
    ----------
    folder : path-like
        It need not exist yet.

    Raises
    ------
    UserError
        If the folder has a ``manifest.json`` of other software.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.files = self._read()  # {path relative to the folder: digest, or None while it is being written}
        self.claimed = set()

    def check(self, names):
        """Refuse to go on if one of these files exists and is not ours; nothing is written.

        Parameters
        ----------
        names : iterable of str
            Paths relative to the folder, with slashes.

        Raises
        ------
        UserError
        """
        for name in names:
            path = self.folder / name
            if (path.exists() or path.is_symlink()) and not self._is_ours(name):
                raise UserError(
                    f"{path} was not written by this software, or was changed since, and is left as it is: move it, or "
                    "give another --out"
                )

    def refuse(self, names, content):
        """Refuse a folder that holds the files of another script, which have some names in common with the own ones.

        Parameters
        ----------
        names : iterable of str
            Files that only the other script writes.
        content : str
            What they are, for the message.

        Raises
        ------
        UserError
        """
        if self.files.keys() & set(names):
            raise UserError(f"{self.folder} holds {content}, and is left as it is: give another --out")

    def claim(self, names):
        """State that these files are about to be written, so that they are ours even if that is interrupted.

        Raises
        ------
        UserError
            As `check`.
        """
        names = set(names)
        self.check(names)
        self.claimed |= names
        self._save({**self._read(), **dict.fromkeys(names)})

    def adopt(self, names):
        """Record that these files are ours, whatever they hold: of a version that kept no manifest."""
        self._save({**dict.fromkeys(names), **self._read()})

    def record(self):
        """Record the contents of the claimed files, and forget those that were not written."""
        files = {**self._read(), **{name: _digest(self.folder / name) for name in self.claimed}}
        self._save({name: digest for name, digest in files.items() if digest or name not in self.claimed})

    def clear(self):
        """Remove the files that earlier runs wrote; those that were changed since are left, and no longer ours."""
        for name in self.files:
            if self._is_ours(name):
                (self.folder / name).unlink(missing_ok=True)
        if self.files:
            self._save({})

    def _is_ours(self, name):
        if name not in self.files:
            return False
        return self.files[name] in (None, _digest(self.folder / name))

    def _read(self):
        path = self.folder / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["tool"] != TOOL:
                raise ValueError
            # A path that leads out of the folder is none that was written here.
            return {n: d for n, d in content["files"].items() if ".." not in PurePosixPath(n).parts and n[:1] != "/"}
        except FileNotFoundError:
            return {}
        except (ValueError, LookupError, TypeError, AttributeError):
            raise UserError(f"{path} is not a manifest of this software: move it, or give another --out") from None

    def _save(self, files):
        self.files = dict(sorted(files.items()))
        save_json(self.folder / FILE, {"tool": TOOL, "files": self.files})


def _digest(path):
    """Return the SHA-256 of a file; None where there is no such file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        return None
