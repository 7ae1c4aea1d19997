"""Files that appear whole or not at all, and errors that a user understands."""

import contextlib
import csv
import errno
import io
import json
import os
import select
import signal
import socket
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

LOST = (errno.EIO, errno.ENOSPC, errno.EDQUOT)  # of fsync: any other error says that the drive does not have it


class UserError(Exception):
    """A mistake that the user can correct; its message is one sentence that says how."""


@contextlib.contextmanager
def cannot_be_written(path):
    """Turn an error of writing a file into a sentence.

    Raises
    ------
    UserError
        In place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}): free space or name another folder"
        ) from error


@contextlib.contextmanager
def replace_file(path):
    """Yield a temporary path beside ``path``; it replaces ``path`` once it is written.

    Parameters
    ----------
    path : path-like
        The file to write; its folder is made too.

    Yields
    ------
    Path
        Where to write. It has the suffix of ``path``, from which some writers choose a format.

    Raises
    ------
    UserError
        If the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    temporary = None
    try:
        with cannot_be_written(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Short, whatever the name: a name of 250 characters leaves no room for a longer one.
            handle, temporary = tempfile.mkstemp(
                prefix=f"{_here()}{os.getpid()}-", suffix="".join(path.suffixes[-2:])[-8:], dir=path.parent
            )
            os.close(handle)
            yield Path(temporary)
            _secure(temporary)
            os.replace(temporary, path)
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _secure(path):
    """Give a file the usual permissions, and bring it to the disk, as far as its drive does that.

    Raises
    ------
    OSError
        If its content is lost.
    """
    mask = os.umask(0)
    os.umask(mask)
    with contextlib.suppress(OSError):  # SMB and FUSE mounts may have no permissions to set
        os.chmod(path, 0o666 & ~mask)
    try:
        with open(path, "rb") as written:
            os.fsync(written.fileno())
    except OSError as error:
        if error.errno in LOST:
            raise


def _here():
    """Return how the names of unfinished files begin on this machine."""
    return f".part-{zlib.crc32(socket.gethostname().encode()):08x}-"


def sweep(folder):
    """Remove the unfinished files in a folder, and below, whose process was killed."""
    for path in Path(folder).rglob(f"{_here()}*"):
        process = path.name.removeprefix(_here()).split("-")[0]
        if process.isdigit() and not _is_running(int(process)):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def save_bytes(path, content):
    """Write a file, whole or not at all."""
    with replace_file(path) as temporary:
        temporary.write_bytes(content)


def save_text(path, text):
    """Write a text file in UTF-8; names of files that are not valid UTF-8 keep their bytes."""
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")


def save_table(path, rows, delimiter=","):
    """Write rows of cells, the header first, as a table."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    save_text(path, text.getvalue())


def save_json(path, value):
    """Write a JSON file; NaN becomes null, since JSON has no NaN."""
    save_text(path, json.dumps(_finite(value), indent=1, allow_nan=False) + "\n")


def save_json_lines(path, values):
    """Write a file with one line of JSON per value; NaN becomes null."""
    save_text(path, "".join(json.dumps(_finite(value), allow_nan=False) + "\n" for value in values))


def _finite(value):
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def save_npz(path, uncompressed=(), **arrays):
    """Write arrays to a compressed ``.npz`` whose bytes depend on the arrays alone.

    ``numpy.savez`` stores the time of writing; here every member is dated 1980, so that the same data
    gives the same file. Readable with ``numpy.load(path, allow_pickle=False)``. Those named in
    ``uncompressed`` are stored as they are.
    """
    content = io.BytesIO()  # an archive on a full disk would raise a second error when it is closed
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            method = zipfile.ZIP_STORED if key in uncompressed else zipfile.ZIP_DEFLATED
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), buffer.getvalue(), method)
    save_bytes(path, content.getbuffer())


def warn(text):
    """Print a warning on stderr."""
    print(f"warning: {text}", file=sys.stderr)


def _is_closed(stream):
    """Return whether the reader of a pipe has closed it."""
    poll = select.poll()
    poll.register(stream, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _sentence(error):
    """Return what an `OSError` means to a user; one that names no file and is not of a full disk is raised again."""
    if error.filename is not None:
        return f"{error.filename} cannot be used ({error.strerror}): it was removed, or may not be read or written"
    if error.errno in LOST:  # also of what is printed into a file, which an error does not name
        return f"no more can be written ({error.strerror}): free space, or write elsewhere"
    raise error


def run(main):
    """Call a script's ``main``; a user's mistake, or a file that is missing, becomes one line and exit status 2.

    A pipe that its reader has closed, such as ``head``, ends the script without a word, as it does other tools.
    """
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be any bytes
    try:
        status = main()
        print(end="", flush=True)  # or a closed pipe would be noticed when Python ends, too late to be caught
        sys.exit(status)
    except (UserError, OSError) as error:
        if isinstance(error, BrokenPipeError) and _is_closed(sys.stdout):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes the rest when it ends
            sys.exit(128 + signal.SIGPIPE)
        if isinstance(error, OSError):
            error = _sentence(error)
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
