"""Where there is no spine, or none as it should be, nothing is claimed with confidence."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import predict
from utils.inference.labeller import load_labeller
from utils.inference.shipped import SHIPPED
from utils.report.report import flags_of
from utils.scans.nifti import Scan, read_scan
from utils.scans.sagittal import slabs_of
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.volumes import generate_volume

SIZE = (5, 192, 192)
REAL = Path(__file__).parents[3] / "shared" / "real"


@pytest.fixture(scope="module")
def labeller():
    return load_labeller(SHIPPED)


@pytest.fixture(scope="module")
def spine():
    """Return slabs of a synthetic subject, their offsets and the levels in view."""
    rng = np.random.default_rng(5)
    anatomy = generate_anatomy(rng)
    field = anatomy.points[18, 0] + 15, anatomy.points[25, 0] + 60  # lumbar
    volume = generate_volume(rng, anatomy, "T2w", field, [0.8] * 3, np.zeros(3), 0)
    return *cut(Scan(volume.data, volume.affine)), volume.levels


def cut(scan):
    """Return the slabs of a scan, and their offsets."""
    return slabs_of(scan)[:2]


def noise(rng):
    return rng.rayleigh(0.2, SIZE)


def blank(rng):
    return np.zeros(SIZE)


def ramp(rng):
    return np.broadcast_to(np.linspace(0, 1, SIZE[2]), SIZE)


def ball(rng):
    rows, columns = np.mgrid[: SIZE[1], : SIZE[2]]
    inside = (rows - rng.uniform(70, 120)) ** 2 + (columns - rng.uniform(70, 120)) ** 2 < rng.uniform(40, 70) ** 2
    return np.clip(0.7 * inside + rng.normal(0, 0.05, SIZE), 0, 1)


def brain(rng):
    """Draw a skull with folds in it, and what lies below it without vertebrae."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[2]]
    away = np.hypot((rows - 80) / rng.uniform(55, 70), (columns - 96) / rng.uniform(65, 80))
    folds = gaussian_filter(rng.normal(0, 1, SIZE[1:]), 2.5)
    image = np.select([away < 0.85, away < 0.93, away < 1], [0.5 + 0.12 * folds / folds.std(), 0.05, 0.9], 0.0)
    image[(rows > 135) & (abs(columns - 120) < 30)] = 0.35
    return np.clip(image + rng.normal(0, 0.03, SIZE), 0, 1)


def knee(rng):
    """Draw two bones that meet, and a third in front of them."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[2]]
    bone, gap = rng.uniform(0.5, 0.8), rng.uniform(4, 8)
    image = np.where(abs(columns - 96) < 60, 0.25, 0.0)
    wide = abs(columns - 96) < 32 + 10 * np.exp(-(((rows - 96) / 30) ** 2))
    image[wide & (abs(rows - 96) > gap / 2)] = bone
    image[np.hypot((rows - 60) / 16, (columns - 40) / 9) < 1] = bone
    return np.clip(gaussian_filter(image, 1) + rng.normal(0, 0.03, SIZE), 0, 1)


@pytest.mark.parametrize("draw", [blank, ramp, ball, brain, knee])
def test_no_disc_is_found_where_there_is_nothing(draw, labeller):
    for seed in range(2):
        images = np.ascontiguousarray(draw(np.random.default_rng(seed)), np.float32)
        found = labeller.label(images, np.arange(-16.0, 17, 8))
        assert len(found.levels) == 0
        assert flags_of(found) == ["no disc"]


def test_what_is_found_in_noise_is_not_sure(labeller):
    for seed in range(6):
        found = labeller.label(noise(np.random.default_rng(seed)).astype(np.float32), np.arange(-16.0, 17, 8))
        assert (found.confidence < 0.9).all()
        assert set(flags_of(found)) & {"no disc", "low confidence"}


def test_an_upright_spine_is_labelled_with_high_confidence(labeller, spine):
    slabs, offsets, levels = spine
    found = labeller.label(slabs, offsets)
    assert list(found.levels) == list(levels) and np.median(found.confidence) > 0.9


@pytest.mark.parametrize("turn", [np.s_[:, ::-1], np.s_[:, :, ::-1]], ids=["upside down", "mirrored"])
def test_a_synthetic_spine_that_is_rotated_or_flipped_is_flagged(turn, labeller, spine):
    slabs, offsets, _ = spine
    found = labeller.label(np.ascontiguousarray(slabs[turn]), offsets)
    assert set(flags_of(found)) & {"no disc", "low confidence", "level uncertain"}
    if len(turn) == 3:  # mirrored head to foot, the cervical one still gets high confidences
        assert (found.confidence < 0.9).all()


def test_the_summary_says_so(tmp_path, capsys):
    nibabel.save(nibabel.Nifti1Image(noise(np.random.default_rng(0)), np.diag([6.0, 1, 1, 1])), tmp_path / "a.nii.gz")
    assert predict.main([str(tmp_path / "a.nii.gz"), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 scans labelled, 0 discs" in said and "flags:             no disc (no disc was found)\n" in said
    assert '"flags": ["no disc"]' in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.skipif(not REAL.is_dir(), reason="real scans are not here")
@pytest.mark.parametrize(
    "subject", ["sub-fcsVb2Img12/anat/sub-fcsVb2Img12_T2w", "sub-fcsVb3p16/anat/sub-fcsVb3p16_T1w"]
)
def test_a_real_scan_that_is_rotated_or_flipped_has_no_high_confidence(subject, labeller):
    scan = read_scan(REAL / f"{subject}.nii.gz")
    slabs, offsets = cut(scan)
    # Left to right becomes head to foot: what is cut as sagittal is axial.
    axial = cut(Scan(scan.data, scan.affine[[2, 1, 0, 3]]))
    for altered in ((slabs[:, ::-1], offsets), (slabs[:, :, ::-1], offsets), axial):
        found = labeller.label(np.ascontiguousarray(altered[0]), altered[1])
        assert (found.confidence < 0.9).all()
        assert set(flags_of(found)) & {"no disc", "low confidence", "level uncertain"}
    assert not flags_of(labeller.label(slabs, offsets))
