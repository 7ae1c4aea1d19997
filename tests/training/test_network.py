"""The network that a training begins with: what contradicts the weights to start from."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from utils.discs import LEVELS, SACRAL
from utils.system.files import UserError
from utils.training.network import choose_network

SOURCE = SimpleNamespace(levels=[*LEVELS, SACRAL], resolution=1.0)
WEIGHTS = {"levels": [*LEVELS, SACRAL], "resolution": 1.0, "output": "logits", "model": {"name": "unet"}}


def chosen(**changes):
    """Return the network of a training that starts from some weights."""
    flags = dict.fromkeys(("model", "stacks", "blocks", "features", "synthetic"))
    args = SimpleNamespace(**flags, recipe="default", init=Path("w.pt"), out=Path("run"))
    args.synthetic = changes.pop("synthetic", None)
    return choose_network(args, SOURCE, {**WEIGHTS, **changes})


@pytest.mark.parametrize("view", ["released", "successor"])
def test_weights_of_the_released_code_are_not_trained_further(view):
    assert chosen() == chosen(view="upright") == {"name": "unet"}
    with pytest.raises(UserError, match="^the weights of w.pt are of the released code, which sees slices in an"):
        chosen(view=view)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"levels": LEVELS}, "were trained for other levels than the data: prepare the data with --levels to match"),
        (
            {"levels": LEVELS, "synthetic": 2},
            "were trained for other levels than synthetic images, which have S1-S2: lea",
        ),
        ({"resolution": 0.5}, "are for pixels of 0.5 mm, the data has 1.0: prepare it with --resolution 0.5"),
        ({"resolution": 0.5, "synthetic": 2}, "are for pixels of 0.5 mm, synthetic images have 1.0: leave --synthetic"),
    ],
)
def test_what_to_do_with_weights_for_other_levels_or_pixels(changes, reason):
    with pytest.raises(UserError, match=f"^the weights of w.pt {reason}"):
        chosen(**changes)
