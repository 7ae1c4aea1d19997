"""The hourglass is the published one; all networks keep the same promise."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models import MODELS, build_model
from utils.inference.checkpoint import load_checkpoint, save_checkpoint
from utils.inference.labeller import load_labeller
from utils.inference.released import import_released
from utils.system.files import UserError

PARITY = Path(__file__).parent / "fixtures" / "parity"


def published_weights(name):
    """Return the weights that the published network's outputs in the fixture were computed with."""
    weights = {}
    for key, shape in json.loads((PARITY / f"{name}.json").read_text()):
        value = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
        if key.endswith("num_batches_tracked"):
            weights[key] = torch.zeros(shape, dtype=torch.int64)
            continue
        if key.endswith("running_var"):
            value = 1 + 0.1 * np.abs(value)
        elif key.endswith("running_mean"):
            value = 0.1 * value
        elif len(shape) == 4:
            value = value / np.sqrt(np.prod(shape[1:]))
        elif key.endswith("bias"):
            value = 0.05 * value
        else:
            value = 1 + 0.1 * value
        weights[key] = torch.from_numpy(np.asarray(value, np.float32))
    return weights


@pytest.mark.parametrize(("name", "parameters"), [("hourglass", 6727062), ("hourglass_attention", 6795086)])
def test_parity_with_the_published_network_through_a_released_checkpoint(name, parameters):
    state = {"model_weights": {f"module.{key}": value for key, value in published_weights(name).items()}}
    found, arguments, weights = import_released(state)
    assert found == name
    assert arguments == {"levels": 11, "stacks": 2, "blocks": 1, "features": 256, "in_channels": 3}
    network = build_model(found, **arguments).eval()
    network.load_state_dict(weights)
    assert sum(p.numel() for p in network.parameters()) == parameters
    image = torch.from_numpy(np.random.default_rng(0).random((1, 3, 256, 256), dtype=np.float32))
    with torch.inference_mode():
        heatmaps = network(image)
    expected = np.load(PARITY / "outputs.npz")
    for stack, heatmap in enumerate(heatmaps):
        large = F.interpolate(heatmap, scale_factor=4, mode="bilinear", align_corners=False)
        np.testing.assert_allclose(large[0, :, ::8, ::8], expected[f"{name}/{stack}"], atol=1e-4)
    if network.attention_map is not None:
        np.testing.assert_allclose(network.attention_map[0, 0], expected["attention_map"], atol=1e-4)


def test_a_released_checkpoint_labels_slices(tmp_path):
    network = build_model("hourglass_attention", 11, stacks=1, features=16, in_channels=3)
    path = tmp_path / "model_t1_att_1.pth"
    torch.save({"epoch": 3, "model_weights": {f"module.{k}": v for k, v in network.state_dict().items()}}, path)
    labeller = load_labeller(path, torch.device("cpu"))
    assert labeller.levels == tuple(range(2, 13))
    prediction = labeller.label(np.zeros((3, 100, 70), np.float32), [-6.0, 0.0, 6.0])
    assert prediction.heatmaps.shape == (11, 25, 18) and prediction.attention.shape == (25, 18)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_gives_heatmaps_at_a_quarter_and_learns_everywhere(name):
    network = build_model(name, 5, stacks=3, blocks=2, features=16)
    heatmaps = network(torch.rand(2, 1, 64, 128))
    assert len(heatmaps) == (3 if name.startswith("hourglass") else 1)
    assert all(heatmap.shape == (2, 5, 16, 32) for heatmap in heatmaps)
    assert (network.attention_map is not None) == (name == "hourglass_attention")
    sum((heatmap**2).sum() for heatmap in heatmaps).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_the_bias_sets_the_first_answer(name):
    network = build_model(name, 3, features=16).eval()
    network.init_bias(-4.0)
    for parameter in network.parameters():
        if parameter.ndim == 4 and parameter.shape[0] == 3:
            torch.nn.init.zeros_(parameter)
    assert torch.allclose(network(torch.rand(1, 1, 64, 64))[-1], torch.tensor(-4.0))


def test_unknown_names_and_foreign_checkpoints_are_told(tmp_path):
    with pytest.raises(ValueError, match="no model 'resnet'"):
        build_model("resnet", 3)
    with pytest.raises(ValueError, match="not those of a stacked hourglass"):
        import_released({"model_weights": {"fc.weight": torch.zeros(3)}})
    for content, reason in ((b"", "damaged"), (b"PK\3\4", "damaged"), (b"# Title", "not written by PyTorch")):
        path = tmp_path / "x.pt"
        path.write_bytes(content)
        with pytest.raises(UserError, match=reason):
            load_checkpoint(path)
    save_checkpoint(path, {"something": 1})
    with pytest.raises(UserError, match="not a checkpoint of train.py"):
        load_checkpoint(path)


class Trap:
    """A pickled object that would run code."""

    def __reduce__(self):
        """Ask the reader to make a file."""
        return Path.touch, (Path("trap"),)


def test_code_in_a_checkpoint_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "trap": Trap()}, "x.pt")
    with pytest.raises(UserError, match="more than tensors"):
        load_checkpoint("x.pt")
    assert not Path("trap").exists()
