"""Losses over the heatmaps of all stacks.

In the focal loss every heatmap counts by its level's state: a disc that is present or known to lie outside the slice is
learned (as a Gaussian, or as nothing); one that may be visible but was not labelled only where it cannot lie.
"""

import torch
import torch.nn.functional as F


def focal_loss(outputs, target, weight, mean=lambda count: count):
    """Focal loss of CornerNet (Law and Deng 2018, equation 1) on logits, summed over stacks.

    A plain squared error over 25 nearly empty channels has a long plateau at zero heatmaps; here easy
    background hardly counts.

    Parameters
    ----------
    outputs : list of (B, C, h, w) tensors
        Logits, one per stack.
    target : (B, C, h, w) tensor
        Gaussians in 0..1.
    weight : (B, C, h, w) tensor, or one that can be broadcast to it
        1 where it is known whether a level's disc is there, else less, down to 0.
    mean : callable
        The mean of a count over the processes that share a batch.

    Returns
    -------
    scalar tensor
        Per disc that is present, averaged over stacks.
    """
    target = target.float()
    # A Gaussian's maximum rarely falls on a cell: the cell nearest to the point is the positive one.
    peak = target.amax((2, 3), keepdim=True)
    positive = ((target == peak) & (peak > 0)).float()
    weight = weight.float()
    count = mean((positive * weight).sum())
    count = torch.where(count > 0, count, 1.0)
    total = 0.0
    for output in outputs:
        logit = output.float()
        p = torch.sigmoid(logit)
        hit = positive * (1 - p) ** 2 * F.logsigmoid(logit)
        miss = (1 - positive) * (1 - target) ** 4 * p**2 * F.logsigmoid(-logit)
        total = total - (weight * (hit + miss)).sum() / count
    return total / len(outputs)


def mse_loss(outputs, target, weight, mean=None):
    """Mean squared error of the published training: every stack, and of each image the discs in it alone.

    So absent discs, whose many empty heatmaps would swamp the others, do not count. Same
    parameters as `focal_loss`; ``outputs`` are heatmap values here, not logits, and no count is needed.
    """
    weight = weight * (target.amax((2, 3), keepdim=True) > 0)
    return sum(((output.float() - target.float()) ** 2 * weight).mean() for output in outputs)
