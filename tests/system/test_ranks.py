"""Processes that train together: their batch statistics, and the shares of a list."""

import pytest
import torch

from models import build_model
from utils.system import ranks
from utils.system.files import UserError


@pytest.mark.parametrize("seed", range(4))
def test_shared_batch_statistics_are_those_of_torch(seed):
    torch.manual_seed(seed)
    own, torchs = (build_model("hourglass_attention", 4, 1, 1, 8, 1) for _ in range(2))
    torchs.load_state_dict(own.state_dict())
    ranks.share_statistics(own)
    images = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(seed))
    answers = [network(images)[-1] for network in (own, torchs)]
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)
    for answer in answers:
        answer.square().sum().backward()
    # Together: a bias that a normalisation follows has no gradient but rounding errors.
    mine, theirs = (torch.cat([p.grad.flatten() for p in network.parameters()]) for network in (own, torchs))
    assert (mine - theirs).norm() < 0.01 * theirs.norm()
    for mine, theirs in zip(own.buffers(), torchs.buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_shares_of_a_list_come_together_in_their_order(monkeypatch):
    shares = []
    for own in range(3):
        monkeypatch.setattr(ranks, "count", lambda: 3)
        monkeypatch.setattr(ranks, "rank", lambda own=own: own)
        shares.append(ranks.deal(list(range(8))))
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert ranks.undeal(shares) == list(range(8))


def test_a_world_size_without_the_rest_of_torchrun_is_refused_in_a_sentence(monkeypatch):
    for name in ("WORLD_SIZE", *ranks.BESIDE):
        monkeypatch.delenv(name, raising=False)
    assert ranks.join("cpu") == torch.device("cpu")
    monkeypatch.setenv("WORLD_SIZE", "1")  # a job manager's, of a single process
    assert ranks.join("cpu") == torch.device("cpu")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UserError, match="^WORLD_SIZE is 2 in the environment, without LOCAL_RANK, MASTER_ADDR, MASTER"):
        ranks.join("cpu")
