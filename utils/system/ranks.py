"""Processes that train or predict together, started by torchrun; usually there is only one."""

import inspect
import os
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from utils.system.device import choose_device
from utils.system.files import UserError

PATIENCE = timedelta(days=7)
BESIDE = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets beside WORLD_SIZE
# Statistics of the batches are the same in all processes: nothing to send. The flag has another name in newer versions.
_FLAGS = inspect.signature(DistributedDataParallel).parameters
UNSYNCED = {"forward_sync_buffers" if "forward_sync_buffers" in _FLAGS else "broadcast_buffers": False}


def join(name=None):
    """Join the processes that torchrun started, if it did, and return this one's device.

    Parameters
    ----------
    name : str, optional
        A torch device; by default this process's own GPU where there is one, else the CPU.

    Raises
    ------
    UserError
        If the environment says that there are several processes, but not how they meet. Working alone would be wrong
        where each of several did so, and job managers set WORLD_SIZE for one process, too.
    """
    size = os.environ.get("WORLD_SIZE") or "1"
    if size != "1" and not dist.is_initialized():
        if missing := [name for name in BESIDE if name not in os.environ]:
            raise UserError(
                f"WORLD_SIZE is {size} in the environment, without {', '.join(missing)}: start several processes with "
                "torchrun, or a single one after `unset WORLD_SIZE`"
            )
        if name == "cuda" or (name is None and torch.cuda.is_available()):
            name = f"cuda:{os.environ['LOCAL_RANK']}"
        device = choose_device(name)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        # A process with fewer or smaller scans waits for the others at the end, however long.
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        return device
    return choose_device(name)


def leave():
    """Leave the group of processes, at the end of the work."""
    if dist.is_initialized():
        dist.destroy_process_group()


def count():
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank():
    """Return the number of this process; number 0 writes the files that all share."""
    return dist.get_rank() if dist.is_initialized() else 0


def mean(value):
    """Return the mean of a tensor over the processes, without a gradient."""
    if count() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / count()


def gather(value):
    """Return the values of all processes as a list by rank; they are sent as pickles."""
    if count() == 1:
        return [value]
    values = [None] * count()
    dist.all_gather_object(values, value)
    return values


def deal(items):
    """Return this process's share of a list: every `count()`-th item."""
    return items[rank() :: count()]


def undeal(shares):
    """Merge the shares of `deal`, a list by rank, into the list in its order."""
    items = [None] * sum(map(len, shares))
    for own, share in enumerate(shares):
        items[own :: len(shares)] = share
    return items


def share(network, device):
    """Return a network whose gradients and batch statistics are those of all processes together."""
    if count() == 1:
        return network
    if device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return DistributedDataParallel(network, [device], **UNSYNCED)
    return DistributedDataParallel(share_statistics(network), **UNSYNCED)


def share_statistics(network):
    """Make a network's batch normalisations use the statistics of all processes; returns the network."""
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SharedBatchNorm
    return network


class Mean(torch.autograd.Function):
    """The mean of a tensor over the processes, as `mean`, with its gradient."""

    @staticmethod
    def forward(_, value):
        """Return the mean."""
        return mean(value)

    @staticmethod
    def backward(_, gradient):
        """Return the mean of the gradients, since every process's value is part of the mean."""
        return mean(gradient)


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all processes: torch's own `SyncBatchNorm` runs on GPUs only."""

    def forward(self, x):
        """Normalise (B, C, h, w), where every process holds a batch of the same size."""
        if not self.training:
            return super().forward(x)
        # In double precision, as torch's own sums: slices are mostly black, and their variances small.
        centre = Mean.apply(x.mean((0, 2, 3), dtype=torch.float64)).float()
        deviation = x - centre[:, None, None]
        variance = Mean.apply((deviation**2).mean((0, 2, 3), dtype=torch.float64)).float()
        with torch.no_grad():
            size = x.numel() / x.shape[1] * count()
            self.running_mean.lerp_(centre, self.momentum)
            self.running_var.lerp_(variance * size / (size - 1), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight / torch.sqrt(variance + self.eps)
        return (deviation * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)
