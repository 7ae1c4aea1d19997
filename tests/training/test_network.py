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
