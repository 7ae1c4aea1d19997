"""Import of the checkpoints that the authors of the method release (Azad, Rouhier and Cohen-Adad 2021)."""

import re


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
        Of `models.build_model`, as the shapes of the tensors tell.
    weights : dict
        Names to tensors, as the rebuilt network wants them.

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
