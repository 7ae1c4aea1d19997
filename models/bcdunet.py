"""BCDU-Net (Azad et al. 2019, arXiv 1909.00166): U-Net with bi-directional ConvLSTM and dense convolutions.

Skip connection and upsampled features are read by a ConvLSTM in both orders instead of being
concatenated, and the bottleneck is densely connected. It ends at a quarter of the input's resolution.
"""

import torch
import torch.nn.functional as F
from torch import nn

from models.unet import Encoder, double_conv, widths_of


class ConvLSTM(nn.Module):
    """Convolutional LSTM (Shi et al. 2015), without peepholes, over a short sequence of feature maps."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, 3, padding=1)

    def forward(self, sequence):
        """Map a list of (B, channels, h, w) to the last hidden state (B, hidden, h, w)."""
        batch, _, height, width = sequence[0].shape
        state = memory = sequence[0].new_zeros(batch, self.hidden, height, width)
        for x in sequence:
            entry, forget, exit_, content = self.gates(torch.cat([x, state], 1)).chunk(4, 1)
            memory = forget.sigmoid() * memory + entry.sigmoid() * content.tanh()
            state = exit_.sigmoid() * memory.tanh()
        return state


class SkipLSTM(nn.Module):
    """Merge skip connection and upsampled features (B, C, h, w) each by a ConvLSTM in both orders."""

    def __init__(self, channels):
        super().__init__()
        self.forth, self.back = ConvLSTM(channels, channels // 2), ConvLSTM(channels, channels // 2)

    def forward(self, skip, x):
        """Return (B, C, h, w)."""
        return torch.cat([self.forth([skip, x]), self.back([x, skip])], 1)


class DenseBottleneck(nn.Module):
    """Three double convolutions, each of which reads what all before it gave."""

    def __init__(self, before, channels, blocks=3):
        super().__init__()
        reads = [before] + [before + k * channels for k in range(1, blocks)]
        self.blocks = nn.ModuleList(double_conv(read, channels) for read in reads)

    def forward(self, x):
        """Map (B, before, h, w) to (B, channels, h, w)."""
        seen = [x]
        for block in self.blocks:
            seen.append(block(torch.cat(seen, 1)))
        return seen[-1]


class BCDUNet(nn.Module):
    """BCDU-Net with skip connections at 1/8 and 1/4 of the resolution.

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
        self.encoder = Encoder(in_channels, widths[:-1])
        self.bottleneck = DenseBottleneck(widths[3], widths[4])
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(widths[k], widths[k - 1], 2, stride=2), nn.BatchNorm2d(widths[k - 1]), nn.ReLU()
            )
            for k in (4, 3)
        )
        self.skip = nn.ModuleList(SkipLSTM(widths[k]) for k in (3, 2))
        self.decoder = nn.ModuleList(double_conv(widths[k], widths[k]) for k in (3, 2))
        self.score = nn.Conv2d(features, levels, 1)

    def init_bias(self, value):
        """Set the bias of all heatmaps, so that an untrained network answers with ``value`` everywhere."""
        nn.init.constant_(self.score.bias, value)

    def forward(self, images):
        """Map images (B, in_channels, H, W), H and W multiples of 16, to a list of one (B, levels, H / 4, W / 4)."""
        *_, quarter, eighth = self.encoder(images)
        x = self.bottleneck(F.max_pool2d(eighth, 2))
        for up, merge, conv, skip in zip(self.up, self.skip, self.decoder, (eighth, quarter), strict=True):
            x = conv(merge(skip, up(x)))
        return [self.score(x)]
