"""The moving average of a network's weights: it predicts better than the weights that a last few steps led to.

After Polyak and Juditsky 1992, and Izmailov et al. 2018, who explain why for networks.
"""

import torch
from torch.optim.swa_utils import AveragedModel

SLOWEST = 1e-3  # share of the newest weights in a long training: the average is over the last 1,000 steps or so
QUICK = 9.0  # over the steps so far, plus 10: in a short training it is over the last ninth


def averaged(network, optimizer):
    """Return the average of a network's weights, which follows each step of the optimiser.

    Parameters
    ----------
    network : torch.nn.Module
        On its device.
    optimizer : torch.optim.Optimizer

    Returns
    -------
    torch.optim.swa_utils.AveragedModel
        Its ``module`` is a network like the first, with the statistics of the batches averaged, too.
    """

    # All tensors of a kind at once: one by one, each would ask the device for the number of steps.
    def follow(average, newest, steps):
        share = max(SLOWEST, QUICK / (10 + int(steps)))
        if average[0].is_floating_point():
            torch._foreach_lerp_(average, newest, share)
        else:  # counts of batches
            torch._foreach_copy_(average, newest)

    average = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
    optimizer.register_step_post_hook(lambda *_: average.update_parameters(network))
    return average
