"""The network that a training begins with: as the flags and the recipe say, or as the weights to start from have it."""

import numpy as np

from utils.system.files import UserError
from utils.training.recipes import RECIPES

NETWORK = {"name": "hourglass_attention", "stacks": 2, "blocks": 1}  # where no flag says otherwise


def output_of(recipe):
    """Return what a network trained by a recipe returns: logits for the focal loss, else heatmaps."""
    return "logits" if RECIPES[recipe]["loss"] == "focal" else "heatmaps"


def choose_network(args, source, earlier):
    """Return what `models.build_model` needs: as the weights to start from have it, else by flags and recipe.

    Parameters
    ----------
    args : argparse.Namespace
        Of train.py.
    source : of `utils.training.sources`
        For its levels and resolution.
    earlier : dict or None
        The checkpoint of ``--init`` or ``--resume``.

    Returns
    -------
    dict

    Raises
    ------
    UserError
        If a flag, or the levels or the resolution of the data, contradict the weights.
    """
    levels = source.levels
    flags = {"name": args.model, "stacks": args.stacks, "blocks": args.blocks, "features": args.features}
    flags = {key: value for key, value in flags.items() if value is not None}
    if earlier is None:
        if args.model in ("unet", "bcdunet") and (args.stacks or args.blocks):
            raise UserError(f"--model {args.model} has no stacks and no blocks: leave --stacks and --blocks out")
        recipe = {key: RECIPES[args.recipe][key] for key in ("features", "in_channels")}
        return {**NETWORK, "levels": len(levels), **recipe, **flags}
    if earlier.get("view", "upright") != "upright":
        raise UserError(
            f"the weights of {args.init} are of the released code, which sees slices in an orientation and size of its "
            "own: they label scans as they are, but cannot be trained further; give others"
        )
    wanted = output_of(args.recipe)
    if args.init and earlier["output"] != wanted:
        raise UserError(
            f"the weights of {args.init} return {earlier['output']}, and --recipe {args.recipe} trains "
            f"{wanted}: give another --recipe"
        )
    weights = f"the weights of {args.init or args.out}"
    shipped = "leave --synthetic out, or start from weights that were trained with it, such as the shipped ones"
    if list(earlier["levels"]) != list(levels):
        images = "synthetic images, which have S1-S2" if args.synthetic else "the data"
        advice = shipped if args.synthetic else "prepare the data with --levels to match"
        raise UserError(f"{weights} were trained for other levels than {images}: {advice}")
    if not np.isclose(earlier["resolution"], source.resolution):
        images = "synthetic images have" if args.synthetic else "the data has"
        advice = shipped if args.synthetic else f"prepare it with --resolution {earlier['resolution']}"
        raise UserError(
            f"{weights} are for pixels of {earlier['resolution']} mm, {images} {source.resolution}: {advice}"
        )
    for key, value in flags.items():
        if earlier["model"][key] != value:
            flag = f"--{'model' if key == 'name' else key}"
            raise UserError(f"{weights} are those of a network with {flag} {earlier['model'][key]}: leave {flag} out")
    return earlier["model"]
