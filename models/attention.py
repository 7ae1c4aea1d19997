"""Multi-level attention: one map from the features of all stacks (Azad et al. 2021, section 2.2)."""

import torch
from torch import nn


class MultiLevelAttention(nn.Sequential):
    """Weigh every place by what all stacks saw there.

    1x1 convolutions from the concatenated features of all stacks to one map, with batch normalisation and
    ReLU between them and a sigmoid at the end.

    Parameters
    ----------
    features : int
        Channels of each stack's features.
    stacks : int
    """

    def __init__(self, features, stacks):
        widths = [features * stacks, 128, 16, 8]
        layers = []
        for before, after in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 1, bias=False), nn.Sigmoid())

    def forward(self, features):
        """Return the map (B, 1, h, w) in 0..1 from a list of features (B, F, h, w), one per stack."""
        return super().forward(torch.cat(features, 1))
