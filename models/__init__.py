"""The networks: all take images (B, C, H, W) and return a list of heatmaps (B, levels, H / 4, W / 4)."""

MODELS = ("hourglass_attention", "hourglass", "unet", "bcdunet")


def build_model(name, levels, stacks=2, blocks=1, features=256, in_channels=1):
    """Build a network.

    Parameters
    ----------
    name : str
        One of `MODELS`.
    levels : int
        Number of heatmaps.
    stacks, blocks : int
        Hourglasses in a row, and residual blocks per place; the U-Nets have neither.
    features : int
        Channels at a quarter of the resolution; a multiple of 4.
    in_channels : int

    Returns
    -------
    torch.nn.Module
        With ``in_channels``, ``attention_map`` (of the last call, or None) and ``init_bias(value)``.

    Raises
    ------
    ValueError
        If there is no network of that name.
    """
    # Imported where they are built, so that the names of the networks are known without PyTorch.
    if name in ("hourglass_attention", "hourglass"):
        from models.hourglass import StackedHourglass

        attention = name == "hourglass_attention"
        return StackedHourglass(levels, stacks, blocks, features, in_channels, attention)
    if name == "unet":
        from models.unet import UNet

        return UNet(levels, features, in_channels)
    if name == "bcdunet":
        from models.bcdunet import BCDUNet

        return BCDUNet(levels, features, in_channels)
    raise ValueError(f"there is no model {name!r}: take one of {', '.join(MODELS)}")
