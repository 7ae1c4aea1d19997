"""One process at a time in a folder.

The lock is one of POSIX: the system releases it when its process ends, however it ends, so none is left by a crash
or a reboot. It holds between the machines that share a folder over NFS (version 4, or 3 with its lock service), SMB,
GPFS, and Lustre mounted with ``flock``. Other file systems (Lustre with ``localflock``, most FUSE mounts such as
sshfs) keep it on one machine: there, two machines do not see each other.
"""

import contextlib
import errno
import fcntl
import os
import socket
import sys
from pathlib import Path

from utils.system.files import UserError, cannot_be_written

FILE = ".lock"


@contextlib.contextmanager
def locked(folder, what):
    """Hold a folder for this process; a folder made for this that stays empty is removed again.

    Parameters
    ----------
    folder : path-like
    what : str
        What this process does, in the words of the sentence that another one gets, such as "a training".

    Raises
    ------
    UserError
        If another process holds the folder, or it cannot be written to.
    """
    folder = Path(folder)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    file = _take(folder / FILE)
    try:
        file.truncate(0)
        file.write(f"{what} (process {os.getpid()} on {socket.gethostname()})")
        file.flush()
        yield
    finally:
        with contextlib.suppress(OSError):  # the folder may be gone
            (folder / FILE).unlink()
        file.close()
        with contextlib.suppress(OSError):  # not empty
            for path in made:
                path.rmdir()


def _take(path):
    """Return the open file of a lock that this process holds from now on."""
    while True:
        with cannot_be_written(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "a+", encoding="utf-8")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read() or "another process"
            if error.errno in (errno.EACCES, errno.EAGAIN):
                file.close()
                raise UserError(
                    f"{path.parent} is in use by {holder}: wait for its end, or give another --out"
                ) from None
            print(f"warning: {path.parent} cannot be locked ({error.strerror}): use it once at a time", file=sys.stderr)
            return file
        if _is(path, file):
            return file
        file.close()  # the process that held it removed the file in between


def _is(path, file):
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
