"""U-Net (Ronneberger et al. 2015) with batch normalisation, to compare with.

It ends at a quarter of the input's resolution like the hourglass, so that both learn the same heatmaps.
"""

import torch
import torch.nn.functional as F
from torch import nn


def double_conv(before, after):
    """Return two 3x3 convolutions, each with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True),
    )  # fmt: skip


class Encoder(nn.Module):
    """The contracting path: features at 1/1, 1/2, 1/4, 1/8, 1/16 of the resolution; ``widths`` are their channels."""

    def __init__(self, in_channels, widths):
        super().__init__()
        before = (in_channels, *widths[:-1])
        self.steps = nn.ModuleList(double_conv(b, a) for b, a in zip(before, widths, strict=True))

    def forward(self, x):
        """Return the list of features, finest first."""
        features = []
        for step in self.steps:
            x = step(F.max_pool2d(x, 2) if features else x)
            features.append(x)
        return features


def widths_of(features):
    """Return the channels of the five resolutions, with ``features`` at a quarter."""
    return (features // 4, features // 2, features, 2 * features, 4 * features)


class UNet(nn.Module):
    """U-Net with skip connections at 1/8 and 1/4 of the resolution.

    Parameters
    ----------
    levels : int
        Number of heatmaps.
    features : int
        Channels at a quarter of the resolution.
    in_channels : int
    """

    def __init__(self, levels, features=256, in_channels=1):
        super().__init__()
        self.in_channels, self.attention_map = in_channels, None
        widths = widths_of(features)
        self.encoder = Encoder(in_channels, widths)
        self.up = nn.ModuleList(nn.ConvTranspose2d(widths[k], widths[k - 1], 2, stride=2) for k in (4, 3))
        self.decoder = nn.ModuleList(double_conv(2 * widths[k], widths[k]) for k in (3, 2))
        self.score = nn.Conv2d(features, levels, 1)

    def init_bias(self, value):
        """Set the bias of all heatmaps, so that an untrained network answers with ``value`` everywhere."""
        nn.init.constant_(self.score.bias, value)

    def forward(self, images):
        """Map images (B, in_channels, H, W), H and W multiples of 16, to a list of one (B, levels, H / 4, W / 4)."""
        *_, quarter, eighth, x = self.encoder(images)
        for up, merge, skip in zip(self.up, self.decoder, (eighth, quarter), strict=True):
            x = merge(torch.cat([skip, up(x)], 1))
        return [self.score(x)]
