"""Lists of subjects and scans as users write them, and what each entry means in a tree."""

import re
from pathlib import Path

from utils.system.files import UserError

FLOW_LIST = re.compile(r"(?:[\w-]+\s*:\s*)?\[(.*)\]$")  # of YAML: key: [sub-01, sub-02]


def read_names(path):
    """Read a list of subjects or scans.

    One entry per line; # begins a comment. Quotes, paths, endings, a byte-order mark, and the dashes and keys of YAML
    (as in spine-generic's ``exclude.yml``) are dropped.

    Parameters
    ----------
    path : Path

    Returns
    -------
    set of str

    Raises
    ------
    UserError
        If the file cannot be read as text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(
            f"the list {path} cannot be read: give a text file (UTF-8) with one subject or scan per line"
        ) from None
    return {entry for line in lines for entry in _entries(line)} - {""}


def _entries(line):
    """Return the names in a line of a list."""
    text = re.sub(r"^(?:-\s+)+", "", line.split("#")[0].strip())
    flow = FLOW_LIST.match(text)
    if not flow and (text.endswith(":") or text in ("-", "---", "...")):
        return []
    words = flow[1].split(",") if flow else [text]
    return [stem_of(Path(word.strip(" \t\"',;"))) for word in words]


def stem_of(path):
    """Return the name of a NIfTI file without .nii and .gz, in either case of letters; a pair's halves keep theirs."""
    return re.sub(r"(\.nii)?(\.gz)?\Z", "", path.name, count=1, flags=re.IGNORECASE)


def halves_of(path):
    """Return the two files of a pair, that of the header first; any other file alone."""
    if path.suffix.lower() not in (".hdr", ".img"):
        return [path]
    return [path.with_suffix(ending.upper() if path.suffix.isupper() else ending) for ending in (".hdr", ".img")]


def match_names(names, known):
    """Find out which known subject or scan each name means.

    It is the one of that very name; else the one that differs only by ``sub-`` in front; else the only one that also
    differs by upper and lower case.

    Parameters
    ----------
    names : iterable of str
    known : collection of str

    Returns
    -------
    dict
        Name to what it means; None where that is nothing, or not clear.
    """
    known, alike = set(known), {}
    for name in known:
        alike.setdefault(_plain(name), []).append(name)
    meant = {}
    for name in names:
        fits = [exact for exact in (name, f"sub-{name}") if exact in known][:1] or alike.get(_plain(name), [])
        meant[name] = fits[0] if len(fits) == 1 else None
    return meant


def _plain(name):
    return name.casefold().removeprefix("sub-")
