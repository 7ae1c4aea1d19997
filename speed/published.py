"""The plain way: how the published recipe does the same work. Kept as it is, to compare with.

Float32, batches of 3, three input channels, the loss at the slice's own resolution, every combination of
candidates tried, each heatmap rendered over all of its cells.
"""

import itertools

import numpy as np
import torch
import torch.nn.functional as F

from models import build_model

RELEASED_IMAGES_PER_S = 2.26  # of the released code's training, measured on 2 CPU cores with AMX
BATCH = 3
SIZE = 256


def network(levels, shape):
    """Return the published network, for ``levels`` discs."""
    return build_model("hourglass_attention", levels, in_channels=3, **shape)


def training_step(device, levels, shape):
    """Return a training step on one batch that is on the device."""
    own = network(levels, shape).to(device).train()
    optimizer = torch.optim.RMSprop(own.parameters(), lr=2.5e-4)
    images = torch.rand(BATCH, 3, SIZE, SIZE, device=device)
    target = torch.rand(BATCH, levels, SIZE, SIZE, device=device) ** 8

    def step():
        outputs = [F.interpolate(o, scale_factor=4, mode="bilinear", align_corners=False) for o in own(images)]
        loss = sum(((output - target) ** 2).mean() for output in outputs)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def forward(device, levels, shape):
    """Return a pass of one slice through the network."""
    own = network(levels, shape).to(device).eval()
    images = torch.rand(1, 3, SIZE, SIZE, device=device)
    return torch.inference_mode()(lambda: own(images))


def all_combinations(candidates, mean):
    """Return the least distance of all chains, one candidate per level, to a mean skeleton (N, 2) that starts at 0."""
    best = np.inf
    for picks in itertools.product(*(range(len(points)) for points, *_ in candidates)):
        chain = np.array([points[pick] for (points, *_), pick in zip(candidates, picks, strict=True)])
        best = min(best, np.abs(chain - chain[0] - mean).sum())
    return best


def render_heatmaps(points, cells):
    """Render a Gaussian for each point (N, 2), in cells, over all cells; returns (N, cells, cells)."""
    rows, columns = np.mgrid[:cells, :cells]
    return np.stack([np.exp(-0.5 * ((rows - row) ** 2 + (columns - column) ** 2)) for row, column in points])
