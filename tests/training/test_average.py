"""The average of the weights follows each step, by shares that were worked out by hand."""

import pytest
import torch
from torch import nn

from utils.training.average import averaged


def test_the_average_follows_by_the_share_of_each_step():
    network = nn.Linear(1, 1, bias=False)
    network.register_buffer("statistic", torch.zeros(1))
    nn.init.constant_(network.weight, 1.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    average = averaged(network, optimizer)
    seen = []
    for _ in range(3):
        network.weight.grad = torch.full((1, 1), -1.0)  # each step adds 1
        network.statistic += 2.0
        optimizer.step()
        seen.append((average.module.weight.item(), average.module.statistic.item()))
    # The first step is taken as it is; then 9 of 11, and 9 of 12: 2 + 9/11, and 31/11 + (4 - 31/11) * 9/12.
    weights = [2, 31 / 11, 31 / 11 + 13 / 11 * 0.75]
    assert [weight for weight, _ in seen] == pytest.approx(weights)
    # The statistic is two for each step, and so is always twice what was added to the weight.
    assert [statistic for _, statistic in seen] == pytest.approx([2 * (weight - 1) for weight in weights])


def test_in_a_long_training_the_share_of_a_step_is_a_thousandth():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    average = averaged(network, optimizer)
    average.n_averaged.fill_(10**5)
    network.weight.grad = torch.full((1, 1), -1.0)
    optimizer.step()
    assert average.module.weight.item() == pytest.approx(1.001)
