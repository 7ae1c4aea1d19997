"""Stacked hourglass (Newell et al. 2016) with the multi-level attention of Azad, Rouhier and Cohen-Adad (2021).

With 2 stacks, 1 block, 256 features, 3 input channels and 11 levels it is the published network, parameter
by parameter; names of parameters are those of the released code, so that its weights load as they are.
Heatmaps are returned at a quarter of the input's resolution: the published code upsamples them by 4.
"""

import torch.nn.functional as F
from torch import nn

from models.attention import MultiLevelAttention


class Residual(nn.Module):
    """Bottleneck residual block with normalisation before each convolution (He et al. 2016b)."""

    def __init__(self, channels, width):
        super().__init__()
        out = 2 * width
        self.bn1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, width, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1)
        self.bn3, self.conv3 = nn.BatchNorm2d(width), nn.Conv2d(width, out, 1)
        self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1)) if channels != out else None

    def forward(self, x):
        """Map (B, channels, h, w) to (B, 2 * width, h, w)."""
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        y = self.conv3(F.relu(self.bn3(y)))
        return y + (x if self.downsample is None else self.downsample(x))


def residuals(channels, width, blocks):
    """Return a row of residual blocks from ``channels`` to ``2 * width``."""
    return nn.Sequential(Residual(channels, width), *(Residual(2 * width, width) for _ in range(blocks - 1)))


class Hourglass(nn.Module):
    """Down to a sixteenth and up again, with a residual branch at each of four resolutions."""

    DEPTH = 4

    def __init__(self, features, blocks):
        super().__init__()
        # Innermost level first. Places: 0 beside, 1 down, 2 up, and on the innermost 3 at the bottom.
        self.hg = nn.ModuleList(
            nn.ModuleList(residuals(features, features // 2, blocks) for _ in range(4 if level == 0 else 3))
            for level in range(self.DEPTH)
        )

    def forward(self, x, level=DEPTH - 1):
        """Map (B, F, h, w) to the same shape."""
        places = self.hg[level]
        beside = places[0](x)
        low = places[1](F.max_pool2d(x, 2))
        low = self.forward(low, level - 1) if level else places[3](low)
        return beside + F.interpolate(places[2](low), scale_factor=2)


class StackedHourglass(nn.Module):
    """Hourglasses in a row, each with its own heatmaps.

    Parameters
    ----------
    levels : int
        Number of heatmaps.
    stacks : int
        Number of hourglasses.
    blocks : int
        Residual blocks per place.
    features : int
        Channels inside; a multiple of 4.
    in_channels : int
    attention : bool
        Weigh the last stack's features by the multi-level attention map.
    """

    def __init__(self, levels, stacks=2, blocks=1, features=256, in_channels=1, attention=True):
        super().__init__()
        self.in_channels, self.attention_map = in_channels, None
        stem = features // 4
        self.conv1, self.bn1 = nn.Conv2d(in_channels, stem, 7, stride=2, padding=3), nn.BatchNorm2d(stem)
        self.layer1 = residuals(stem, stem, 1)
        self.layer2 = residuals(2 * stem, 2 * stem, 1)
        self.layer3 = residuals(4 * stem, features // 2, 1)
        self.hg = nn.ModuleList(Hourglass(features, blocks) for _ in range(stacks))
        self.res = nn.ModuleList(residuals(features, features // 2, blocks) for _ in range(stacks))
        self.fc = nn.ModuleList(
            nn.Sequential(nn.Conv2d(features, features, 1), nn.BatchNorm2d(features), nn.ReLU(inplace=True))
            for _ in range(stacks)
        )
        self.score = nn.ModuleList(nn.Conv2d(features, levels, 1) for _ in range(stacks))
        self.fc_ = nn.ModuleList(nn.Conv2d(features, features, 1) for _ in range(stacks - 1))
        self.score_ = nn.ModuleList(nn.Conv2d(levels, features, 1) for _ in range(stacks - 1))
        self.attention = MultiLevelAttention(features, stacks) if attention else None

    def init_bias(self, value):
        """Set the bias of all heatmaps, so that an untrained network answers with ``value`` everywhere."""
        for score in self.score:
            nn.init.constant_(score.bias, value)

    def forward(self, images):
        """Return heatmaps from images.

        Parameters
        ----------
        images : (B, in_channels, H, W) tensor
            H and W are multiples of 64.

        Returns
        -------
        list of (B, levels, H / 4, W / 4) tensors, one per stack
            The attention map (B, 1, H / 4, W / 4) of the call, in 0..1, is kept in ``attention_map``.
        """
        x = F.relu(self.bn1(self.conv1(images)))  # (B, F / 4, H / 2, W / 2)
        x = F.max_pool2d(self.layer1(x), 2)  # (B, F / 2, H / 4, W / 4)
        x = self.layer3(self.layer2(x))  # (B, F, H / 4, W / 4)
        seen, heatmaps = [], []
        for stack, hourglass in enumerate(self.hg):
            y = self.fc[stack](self.res[stack](hourglass(x)))
            seen.append(y)
            if stack + 1 < len(self.hg):
                heatmaps.append(self.score[stack](y))
                x = x + self.fc_[stack](y) + self.score_[stack](heatmaps[-1])
        if self.attention is not None:
            attention = self.attention(seen)
            self.attention_map = attention.detach()
            y = y * attention
        return [*heatmaps, self.score[-1](y)]
