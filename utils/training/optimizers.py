"""Optimiser and schedule of a recipe."""

import torch


def build_optimizer(recipe, network, lr):
    """Return the optimiser of a recipe."""
    if recipe["optimizer"] == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), lr=lr)
    return torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=1e-2)


def build_scheduler(recipe, optimizer, lr, epochs, steps):
    """Return the schedule of a recipe, to be stepped after each of ``steps`` batches of ``epochs`` epochs."""
    if recipe["optimizer"] == "rmsprop":
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, [60 * steps, 90 * steps], gamma=0.1)
    # A tenth, and a little more: with exactly one step of warm-up, in ten, it divides by nothing.
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps, pct_start=0.1001)
