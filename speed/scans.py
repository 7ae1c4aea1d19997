"""The speed of what reads scans: preparing them, and labelling a cohort."""

import os
import tempfile

import nibabel
import numpy as np

import predict
from prepare_spinegeneric import Settings, prepare_scan
from speed.timing import Row, medians, most_memory, start
from utils.discs import LEVELS
from utils.inference.labeller import load_labeller
from utils.inference.shipped import SHIPPED
from utils.report.report import Report
from utils.scans.bids import find_scans
from utils.scans.limits import MAX_VOXELS
from utils.scans.outputs import Job
from utils.scans.sample import load_sample
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.volumes import choose_field_of_view, generate_volume
from utils.system.stages import overlapped

FEW, MANY = 16, 64  # scans to prepare
COHORT = 16  # scans to label: enough for reading the first and writing the last one to matter little
# What predict.py does before it reads the first scan, and all that prepare_spinegeneric.py does.
READY = "import predict; predict.load_labeller(predict.SHIPPED)"
PREPARE = "import sys, prepare_spinegeneric; prepare_spinegeneric.main(sys.argv[1:])"


def make_tree(root, count, voxel_mm=0.8):
    """Make a tree of ``count`` subjects in the layout of BIDS, all with the same synthetic scan and labels.

    Parameters
    ----------
    root : Path
    count : int
    voxel_mm : float

    Returns
    -------
    list of utils.scans.bids.ScanFile
    """
    rng = np.random.default_rng(0)
    anatomy = generate_anatomy(rng)
    volume = generate_volume(rng, anatomy, "T2w", choose_field_of_view(rng, anatomy), [voxel_mm] * 3)
    labels = np.zeros(volume.data.shape, np.uint8)
    labels[tuple(volume.voxels.T)] = volume.levels
    root.mkdir(parents=True)
    contents = {
        "{0}/anat/{0}_T2w.nii.gz": volume.data.astype(np.int16),
        "derivatives/labels/{0}/anat/{0}_T2w_label-discs_dlabel.nii.gz": labels,
    }
    for number, (place, data) in enumerate(contents.items()):
        one = root / f"{number}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(data, volume.affine), one)
        for subject in range(1, count + 1):
            path = root / place.format(f"sub-{subject:03d}")
            path.parent.mkdir(parents=True)
            os.link(one, path)
    return find_scans(root)


def settings_for(folder):
    """Return the settings that are the defaults of prepare_spinegeneric.py."""
    return Settings(folder, LEVELS, 1.0, 4.0)


def samples_of(scans, folder):
    """Prepare scans and load them."""
    rows = [prepare_scan(scan, "", settings_for(folder)) for scan in scans]
    return [load_sample(folder / row["file"]) for row in rows]


def preparation_rows(folder, repeats):
    """Measure the preparing of scans: one, many in two processes, and the memory that many take.

    Parameters
    ----------
    folder : Path
        An empty one, for files.
    repeats : int

    Yields
    ------
    Row
    """
    scans = make_tree(folder / "many", MANY)
    scan, settings = scans[0], settings_for(folder / "prepared")

    def read():
        for path in (scan.image, scan.label):
            np.asarray(nibabel.load(path).dataobj)

    mine, plain = medians([lambda: prepare_scan(scan, "", settings), read], repeats)
    yield Row("prepare one scan", mine, "nibabel reads its two files", plain, "0.67 or more")

    make_tree(folder / "few", FEW)

    def prepare(tree, jobs=1):
        out = tempfile.mkdtemp(dir=folder)  # one that was prepared before would be left as it is
        # A preview of the same size, however many scans there are.
        return PREPARE, "--data", folder / tree, "--out", out, "--jobs", jobs, "--split", 1, 0, 0

    commands = [prepare, lambda tree: prepare(tree, jobs=2)]
    works = [lambda c=command, t=tree: start(*c(t)) for command in commands for tree in ("few", "many")]
    one_few, one_many, two_few, two_many = medians(works, max(1, repeats // 2))
    one, two = ((many - few) / (MANY - FEW) for few, many in ((one_few, one_many), (two_few, two_many)))
    yield Row("prepare one more scan, --jobs 2", two, "--jobs 1", one, "1.7 or more")

    few, many = (most_memory(*prepare(tree)) for tree in ("few", "many"))
    yield Row(f"memory, preparing {MANY} scans", many, f"{FEW} scans", few,
              f"about 1: no volume is kept; one has {volume_mb(scan.image):.0f} MB", "MB")  # fmt: skip


def volume_mb(path):
    """Return the size of a scan in memory."""
    return 4 * np.prod(nibabel.load(path).shape) / 2**20


def prediction_rows(folder, device, repeats):
    """Measure the labelling of a cohort with the shipped weights, and the start of predict.py.

    Parameters
    ----------
    folder : Path
        An empty one, for files.
    device : torch.device
    repeats : int

    Yields
    ------
    Row
    """
    scans = make_tree(folder / "tree", COHORT)
    work = predict.Labelling(load_labeller(SHIPPED, device), Report(folder / "out"), MAX_VOXELS)
    jobs = [Job(scan.image, folder / "out" / scan.name) for scan in scans]
    job = jobs[0]
    ready = work.read(job)
    done = work.compute(job, ready)

    works = [
        lambda: list(overlapped(jobs, work.read, work.compute, work.write, ())),
        lambda: work.read(job), lambda: work.compute(job, ready), lambda: work.write(job, done),
    ]  # fmt: skip
    whole, *stages = medians(works, repeats, device)
    slowest = max(zip(stages, ("reading", "computing", "writing"), strict=True))
    yield Row(f"label one scan, of {COHORT}", whole / COHORT, f"{slowest[1]} alone, the slowest stage", slowest[0],
              "0.77 or more")  # fmt: skip
    yield Row(f"label one scan, of {COHORT}", whole / COHORT, "the three stages one after the other", sum(stages))
    began, imports = medians([lambda: start(READY), lambda: start("import torch, nibabel")], repeats)
    yield Row("start predict.py, weights loaded", began, "import torch, nibabel", imports, "0.77 or more")
