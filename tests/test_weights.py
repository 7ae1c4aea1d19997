"""The weights that come with the software: whole, small, safe to load, and good on people that nobody drew before."""

import hashlib

import numpy as np
import torch

from utils.checkpoint import SHIPPED
from utils.discs import LEVELS, SACRAL
from utils.labeller import load_labeller
from utils.phantom import draw_anatomy
from utils.scan import Scan, slabs_of
from utils.synthesis import choose_field_of_view, draw_volume


def test_the_file_is_whole_small_and_holds_16_bits():
    assert SHIPPED.stat().st_size < 15e6
    digest, name = SHIPPED.with_suffix(".sha256").read_text().split()
    assert name == SHIPPED.name and hashlib.sha256(SHIPPED.read_bytes()).hexdigest() == digest
    checkpoint = torch.load(SHIPPED, weights_only=True)
    assert tuple(checkpoint["levels"]) == (*LEVELS, SACRAL)
    assert {v.dtype for v in checkpoint["state_dict"].values() if v.is_floating_point()} == {torch.float16}
    assert checkpoint["calibration"] and not {"optimizer", "newest", "log"} & set(checkpoint)
    assert not {"data", "out", "init"} & set(checkpoint["args"])


def test_it_names_the_discs_of_new_people():
    labeller, found, total = load_labeller(SHIPPED, torch.device("cpu")), 0, 0
    for seed, contrast in enumerate(("T1w", "T2w", "T1w", "T2w")):
        rng = np.random.default_rng([77, seed])
        anatomy = draw_anatomy(rng)
        volume = draw_volume(rng, anatomy, contrast, choose_field_of_view(rng, anatomy), (1.0, 1.0, 1.0))
        scan = Scan(SHIPPED, volume.data, volume.affine)
        slabs, offsets, plane = slabs_of(scan)
        prediction = labeller.label(slabs, offsets)
        world = dict(zip(prediction.levels, plane.to_world(prediction.points, prediction.across), strict=True))
        for level, voxel in zip(volume.levels, volume.voxels, strict=True):
            total += 1
            true = volume.affine[:3, :3] @ voxel + volume.affine[:3, 3]
            found += level in world and np.linalg.norm(world[level] - true) < 10
    assert found >= 0.9 * total
