"""Which scans predict.py labels, and where their outputs go."""

import os
import re

from utils.scans.bids import find_scans, is_label_volume
from utils.scans.ignored import ignored_images, ignored_summary
from utils.scans.names import halves_of, match_names, read_names, stem_of
from utils.scans.outputs import TOOL, Job
from utils.scans.selection import apart, check_tree
from utils.system import ranks
from utils.system.files import UserError, warn

HALF = re.compile(r"\.(hdr|img)$", re.IGNORECASE)


def folder_of(args):
    """Return the folder of all outputs: for a tree it is a BIDS derivative, so that --out may be the tree itself."""
    return args.out / "derivatives" / TOOL if args.data else args.out


def list_jobs(args):
    """Return the scans that are to be labelled, each with the place of its outputs.

    Raises
    ------
    UserError
        If there is nothing to label, or two scans would write the same files.
    """
    if bool(args.scans) == bool(args.data):
        raise UserError("name scans to label, or a tree with --data, and not both")
    if args.data:
        check_tree(args.data)
        found = find_scans(args.data, args.contrasts)
        inside = [(scan, scan.image.relative_to(args.data)) for scan in found]
        jobs = [Job(s.image, folder_of(args) / i.parent / s.name, f"bids:raw:{i.as_posix()}") for s, i in inside]
        ignored = ignored_images(args.data, args.contrasts, found)
        if ignored and ranks.rank() == 0:
            warn(ignored_summary(ignored, args.contrasts))
    else:
        volumes = [path.name for path in args.scans if is_label_volume(path)]
        if nameless := [path for path in args.scans if not stem_of(path)]:
            raise UserError(f"{nameless[0]} has no name of its own: name a NIfTI file, or give a BIDS tree with --data")
        scans = [_header_of(path) for path in args.scans if not is_label_volume(path)]
        jobs = [Job(path, args.out / stem_of(path)) for path in scans]
        if not jobs:
            raise UserError(f"{args.scans[0]} is a label volume: name the scan that it belongs to")
        if volumes and ranks.rank() == 0:
            warn(f"label volumes are no scans and are left out: {len(volumes)}, such as {volumes[0]}")
        # A scan may be named twice, as by two patterns, and a pair by both of its halves.
        jobs = list({job.source: job for job in reversed(jobs)}.values())[::-1]
    if not jobs:
        raise UserError(f"{args.data} holds no scan with the contrasts {', '.join(args.contrasts)}")
    jobs, namesakes = apart(wanted_by(args.only, jobs) if args.only else jobs, "stem")
    if namesakes and not args.data:
        name = namesakes[0].stem.name
        raise UserError(f"two scans are called {name}: label them one by one, each with its own --out")
    if namesakes and ranks.rank() == 0:
        warn(
            f"images with the name of another one in their folder are left out: {len(namesakes)}, such as "
            f"{namesakes[0].image.name}: remove one of the two"
        )
    return jobs


def _header_of(path):
    """Return the header of a pair, whose name its outputs get, whichever half was named; any other file as it is."""
    header = halves_of(path)[0]
    return header if os.path.exists(header) else path


def wanted_by(path, jobs):
    """Return the jobs that a list names.

    Raises
    ------
    UserError
        If it names none.
    """
    names = [HALF.sub("", job.stem.name) for job in jobs]
    names = [{name, name.split("_")[0]} for name in names]  # of the scan, and of its subject
    meant = match_names({HALF.sub("", entry) for entry in read_names(path)}, set().union(*names))
    asked = [job for job, own in zip(jobs, names, strict=True) if own & set(meant.values())]
    if not asked:
        raise UserError(f"{path} names none of the scans: write one name per line, such as {jobs[0].stem.name}")
    unmatched = sorted(entry for entry, name in meant.items() if name is None)
    if unmatched and ranks.rank() == 0:
        warn(f"{path} names what is no scan here: {', '.join(unmatched)}")
    return asked
