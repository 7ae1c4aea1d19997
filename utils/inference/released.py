"""Import of the checkpoints of the released code (Azad, Rouhier and Cohen-Adad 2021) and of its successor.

Both hold the same networks, under the same names. The released code
(github.com/rezazad68/Deep-Intervertebral-Disc-Labeling) has 11 channels and counts discs from C1-C2 on, level 2.
Its successor (github.com/spinalcordtoolbox/disc-labeling-hourglass) has a channel for each level from 1 on, 25 by
default, and writes their number into the file's name. Each feeds its networks in an orientation of its own, see
`utils.inference.view`.
"""

import re
from pathlib import Path

from utils.discs import LAST

FIRST_LEVEL = {"released": 2, "successor": 1}
RELEASED_CHANNELS = 11


def import_released(state):
    """Read a released checkpoint.

    Parameters
    ----------
    state : dict
        With the network's tensors in ``model_weights``, whose names may begin with ``module.``.

    Returns
    -------
    name : str
        Of the model.
    arguments : dict
        Of `models.build_model`, from the shapes of the tensors.
    weights : dict
        Names to tensors, for the network that `models.build_model` returns.

    Raises
    ------
    ValueError
        If it holds another network; the message says so in a sentence.
    """
    try:
        weights = {str(key).removeprefix("module."): value for key, value in state["model_weights"].items()}
        stem, score = weights["conv1.weight"], weights["score.0.weight"]
        features, in_channels, levels = int(score.shape[1]), int(stem.shape[1]), int(score.shape[0])
        stacks = 1 + max(int(match[1]) for key in weights if (match := re.match(r"hg\.(\d+)\.", key)))
        blocks = 1 + max(int(match[1]) for key in weights if (match := re.match(r"hg\.0\.hg\.0\.0\.(\d+)\.", key)))
    except (AttributeError, KeyError, IndexError, ValueError):
        raise ValueError(
            "its weights are not those of a stacked hourglass, so use the code that it came from"
        ) from None
    name = "hourglass_attention" if "attention.0.weight" in weights else "hourglass"
    sizes = {"levels": levels, "stacks": stacks, "blocks": blocks, "features": features, "in_channels": in_channels}
    return name, sizes, weights


def convention_of(file, channels, first_level=None):
    """Return which code a released checkpoint is of, and the levels of its channels.

    The file's name decides, as either code writes it (``model_t2_att_2``, or ``..._ndiscs_25``); then ``first_level``;
    then the number of channels.

    Parameters
    ----------
    file : path-like
    channels : int
    first_level : int, optional
        Level of the first channel.

    Returns
    -------
    view : str
        A key of `utils.inference.view.VIEWS`.
    levels : list of int

    Raises
    ------
    ValueError
        If these cannot be determined, or there are no such levels; the message gives the reason.
    """
    if channels == 1:
        raise ValueError("its one channel holds all discs, so it does not show their levels")
    stem = Path(file).stem
    if "_ndiscs_" in stem:
        view = "successor"
    elif re.fullmatch(r"model_[^_]+(_att)?_{1,2}\d+", stem):
        view = "released"
    elif first_level:
        view = "successor" if first_level == FIRST_LEVEL["successor"] else "released"
    elif channels != RELEASED_CHANNELS:
        view = "successor"
    else:
        raise ValueError(
            f"with {channels} channels it may be of the released code or of its successor, which count from different "
            "levels: give --first-level 2 for the first, --first-level 1 for the second, or its original file name"
        )
    first = first_level or FIRST_LEVEL[view]
    if first + channels - 1 > LAST:
        most = LAST + 1 - channels
        advice = f"give --first-level {most} or less" if most > 0 else "use the code that it came from"
        raise ValueError(f"its {channels} channels from level {first} on would end at {first + channels - 1}: {advice}")
    return view, list(range(first, first + channels))
