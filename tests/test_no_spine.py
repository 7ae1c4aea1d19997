"""Where there is no spine, or none as it should be, nothing is claimed with confidence."""

import numpy as np
import pytest

from utils.checkpoint import SHIPPED
from utils.labeller import load_labeller
from utils.phantom import draw_anatomy
from utils.report import flags_of
from utils.scan import Scan, normalise, sagittal, slab_offsets
from utils.synthesis import choose_field_of_view, draw_volume

SIZE = (5, 192, 192)


@pytest.fixture(scope="module")
def labeller():
    return load_labeller(SHIPPED)


@pytest.fixture(scope="module")
def spine():
    """Return slabs of a synthetic person, their offsets and the levels in view."""
    rng = np.random.default_rng(77)
    anatomy = draw_anatomy(rng)
    volume = draw_volume(rng, anatomy, "T2w", choose_field_of_view(rng, anatomy), [0.8] * 3, np.zeros(3), 0)
    scan = Scan("phantom", volume.data, volume.affine)
    offsets = slab_offsets(scan)
    return np.stack([normalise(image) for image in sagittal(scan, 1.0, offsets=offsets)[0]]), offsets, volume.levels


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


@pytest.mark.parametrize("draw", [noise, blank, ramp, ball])
def test_no_disc_is_found_where_there_is_nothing(draw, labeller):
    for seed in range(3):
        images = np.ascontiguousarray(draw(np.random.default_rng(seed)), np.float32)
        found = labeller.label(images, np.arange(-16.0, 17, 8))
        assert len(found.levels) == 0
        assert flags_of(found) == ["no disc"]


def test_a_spine_as_it_should_be_is_sure(labeller, spine):
    slabs, offsets, levels = spine
    found = labeller.label(slabs, offsets)
    assert list(found.levels) == list(levels) and np.median(found.confidence) > 0.9


@pytest.mark.parametrize("turn", [np.s_[:, ::-1], np.s_[:, :, ::-1]], ids=["upside down", "mirrored"])
def test_a_spine_that_is_turned_is_not_sure(turn, labeller, spine):
    slabs, offsets, _ = spine
    found = labeller.label(np.ascontiguousarray(slabs[turn]), offsets)
    assert (found.confidence < 0.9).all()
    assert set(flags_of(found)) & {"no disc", "low confidence", "level unsure"}
