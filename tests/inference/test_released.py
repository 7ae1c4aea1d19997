"""Checkpoints of the released code and its successor: their levels, and how their networks see a slab."""

import numpy as np
import pytest
import torch

import predict
from models import build_model
from utils.discs import LEVELS
from utils.inference.checkpoint import load_checkpoint
from utils.inference.heatmaps import candidates
from utils.inference.labeller import Labeller, load_labeller
from utils.inference.released import convention_of
from utils.inference.shipped import SHIPPED
from utils.inference.view import VIEWS
from utils.scans.nifti import Scan
from utils.scans.sagittal import slabs_of
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.volumes import generate_volume
from utils.system.files import UserError

TURNS = {  # what a kernel (out, in, 3, 3) becomes for images of that view
    "released": lambda kernel: kernel.flip(2, 3).transpose(2, 3),
    "successor": lambda kernel: kernel.flip(3),
}


def released_file(path, channels=11):
    network = build_model("hourglass_attention", channels, stacks=1, features=16, in_channels=3)
    torch.save({"model_weights": {f"module.{key}": value for key, value in network.state_dict().items()}}, path)
    return path


@pytest.mark.parametrize(
    ("file", "channels", "first", "view", "levels"),
    [
        ("model_t2_att_2", 11, None, "released", range(2, 13)),
        ("model_t1_4.pth", 11, None, "released", range(2, 13)),
        ("model_t1__2", 11, None, "released", range(2, 13)),
        ("model_t1t2_att_2", 5, 21, "released", range(21, 26)),
        ("model_t1_t2_att_stacks_2_ndiscs_11", 11, None, "successor", range(1, 12)),
        ("model_t2_att_crop_stacks_2_ndiscs_25", 25, None, "successor", range(1, 26)),
        ("weights.pth", 25, None, "successor", range(1, 26)),
        ("weights.pth", 15, None, "successor", range(1, 16)),
        ("weights.pth", 11, 1, "successor", range(1, 12)),
        ("weights.pth", 11, 2, "released", range(2, 13)),
        ("weights.pth", 5, 21, "released", range(21, 26)),
    ],
)
def test_the_code_and_the_levels_are_recognised(file, channels, first, view, levels):
    assert convention_of(file, channels, first) == (view, list(levels))


@pytest.mark.parametrize(
    ("file", "channels", "first", "reason"),
    [
        ("weights.pth", 11, None, "give --first-level 2 for the first, --first-level 1 for the second"),
        ("weights.pth", 25, 2, "would end at 26: give --first-level 1 or less"),
        ("model_t2_att_2", 24, 5, "would end at 28: give --first-level 2 or less"),
        ("weights.pth", 30, None, "would end at 30: use the code that it came from"),
        ("model_t2_ndiscs_1", 1, None, "one channel holds all discs"),
    ],
)
def test_what_is_open_or_impossible_is_refused(file, channels, first, reason):
    with pytest.raises(ValueError, match=reason):
        convention_of(file, channels, first)


def test_the_flag_settles_what_the_file_leaves_open(tmp_path):
    path = released_file(tmp_path / "weights.pth")
    with pytest.raises(UserError, match="weights.pth cannot be imported: with 11 channels .*--first-level"):
        predict.main(["scan.nii.gz", "--weights", str(path), "--device", "cpu"])
    assert load_labeller(path, torch.device("cpu"), first_level=1).levels == tuple(range(1, 12))
    with pytest.raises(UserError, match="states its own levels: leave --first-level out"):
        load_checkpoint(SHIPPED, first_level=2)
    with pytest.raises(SystemExit):
        predict.main(["scan.nii.gz", "--first-level", "0"])


@pytest.mark.parametrize("channels", [11, 15, 25])
def test_checkpoints_of_the_successor_label_slices(channels, tmp_path):
    path = released_file(tmp_path / f"model_t2_att_stacks_1_ndiscs_{channels}", channels)
    prediction = load_labeller(path, torch.device("cpu")).label(np.zeros((2, 130, 70), np.float32), [-3.0, 3.0])
    assert prediction.heatmaps.shape == (channels, 33, 18) and prediction.attention.shape == (33, 18)


@pytest.mark.parametrize(
    ("view", "corner"),
    [("upright", (0, 0)), ("released", (-1, -1)), ("successor", (0, -1))],
)
def test_the_superior_anterior_corner_lies_where_the_code_has_it(view, corner):
    slab = np.zeros((1, 320, 192), np.float32)
    slab[0, :20, :20] = 1
    image = VIEWS[view].image(slab)[0]
    assert image[corner] == 1 and image.sum() < 0.05 * image.size
    # 20 of 320 rows and of 192 columns.
    inside = np.argwhere(image > 0.5)
    extent = np.ptp(inside, 0) + 1
    expected = {"upright": (20, 20), "released": (256 * 20 / 192, 256 * 20 / 320), "successor": (16, 256 * 20 / 192)}
    np.testing.assert_allclose(extent, expected[view], atol=1)


@pytest.mark.parametrize("view", ["released", "successor"])
@pytest.mark.parametrize("scale", [(1.0, 0.0), (0.3, 0.2), (7.0, -3.0)])
def test_images_of_the_released_codes_reach_from_0_to_1(view, scale):
    slabs = np.random.default_rng(0).random((2, 100, 90)).astype(np.float32)
    image = VIEWS[view].image(slabs)
    np.testing.assert_allclose(VIEWS[view].image(scale[0] * slabs + scale[1]), image, atol=1e-5)
    assert image.dtype == np.float32
    np.testing.assert_allclose([image.min((1, 2)), image.max((1, 2))], [[0, 0], [1, 1]], atol=1e-6)
    assert np.isfinite(VIEWS[view].image(np.zeros((1, 64, 64), np.float32))).all()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", [(256, 256), (320, 192), (161, 130), (90, 250)])
def test_points_come_back_to_where_they_were(view, shape):
    """A disc of a few pixels, and as the network the mean of 4 x 4 pixels."""
    point = np.array(shape) * (0.3, 0.6)
    rows, columns = np.indices(shape)
    slab = np.exp(-0.5 * ((rows - point[0]) ** 2 + (columns - point[1]) ** 2) / 5.0**2)[None]
    image = VIEWS[view].image(slab)
    height, width = image.shape[1:]
    heatmap = image.reshape(1, 1, height // 4, 4, width // 4, 4).mean((3, 5))
    back = VIEWS[view].back(heatmap, shape)
    assert back.shape == (1, 1, -(-shape[0] // 4), -(-shape[1] // 4))
    found = candidates(back[0])[0][0][0]
    np.testing.assert_allclose(found, point, atol=0.5)


def released_network(own):
    """Return the weights of one of our networks without the channel of S1-S2, which released networks do not have."""
    keep = [own["levels"].index(level) for level in LEVELS]
    weights = dict(own["state_dict"])
    for key, value in weights.items():
        if key.startswith("score."):
            weights[key] = value[keep]
        elif key.startswith("score_.") and key.endswith("weight"):
            weights[key] = value[:, keep]
    return weights


@pytest.mark.parametrize(
    ("view", "file", "first"),
    [("released", "model_t2_att_2", None), ("successor", "model_t2_att_stacks_2_ndiscs_24", 2)],
)
def test_a_network_turned_into_a_view_gives_the_same_labels(view, file, first, tmp_path):
    # By the weights that were trained on scans too, two of these discs move by 2.3 pixels in the flipped image.
    own, path, cpu = load_checkpoint(SHIPPED.with_name("synthetic.pt")), tmp_path / file, torch.device("cpu")
    weights = released_network(own)
    rotated = {f"module.{key}": TURNS[view](value) if value.ndim == 4 else value for key, value in weights.items()}
    torch.save({"model_weights": rotated}, path)
    imported = load_checkpoint(path, first)
    assert imported["levels"] == list(LEVELS) and imported["view"] == view
    # What the released format does not hold.
    kept = {key: own[key] for key in ("output", "prior", "calibration")}
    theirs = Labeller({**imported, **kept}, path, cpu)
    ours = Labeller({**imported, **kept, "state_dict": weights, "view": "upright"}, path, cpu)
    total = 0
    for seed, (contrast, view_mm) in enumerate((("T1w", (40.0, 280.0)), ("T2w", (500.0, 740.0)))):
        rng = np.random.default_rng([78, seed])
        volume = generate_volume(rng, generate_anatomy(rng), contrast, view_mm, (1.0, 1.0, 1.0))
        slabs, offsets, _ = slabs_of(Scan(volume.data, volume.affine))
        slabs = slabs[:, :256, :256]
        square = np.zeros((len(slabs), 256, 256), np.float32)
        square[:, : slabs.shape[1], : slabs.shape[2]] = slabs
        square[:, -1, -1] = 1.0  # which the scaling from minimum to maximum leaves as it is
        expected, found = ours.label(square, offsets), theirs.label(square, offsets)
        assert found.levels.tolist() == expected.levels.tolist()
        # Steps of two pixels begin at the other edge of a flipped image: one pixel away.
        np.testing.assert_allclose(found.points, expected.points, atol=2.0)
        total += len(found.levels)
    assert total >= 10
