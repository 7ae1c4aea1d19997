"""The processor to compute on."""

import pytest
import torch

from utils.system.device import choose_device
from utils.system.files import UserError


@pytest.mark.parametrize("name", ["meta", "cuda:99", "nonsense"])
def test_a_device_that_cannot_be_used_is_refused_in_a_sentence(name):
    with pytest.raises(UserError, match=f"^the device {name!r} cannot be used .*: give --device cpu or cuda$"):
        choose_device(name)
    assert choose_device("cpu") == torch.device("cpu")
