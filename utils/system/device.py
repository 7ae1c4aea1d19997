"""The processor to compute on, and the number format that is fast there."""

import contextlib
import ctypes

import torch

from utils.system.files import UserError


def choose_device(name=None):
    """Return the named torch device, or the GPU where there is one, else the CPU."""
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # as "meta" cannot, which holds no numbers
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the device {name!r} cannot be used ({reason}): give --device cpu or cuda") from None
    return device


def has_fast_bfloat16(device):
    """Return whether the hardware computes in bfloat16 itself, rather than emulating it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, check, bool)() for check in checks)


def autocast(device, enabled):
    """Return a context in which convolutions run in bfloat16 if ``enabled`` and the hardware has it."""
    if enabled and has_fast_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def keep_memory():
    """Let the C library keep freed memory: it would give that of each batch back, and the next needs as much again.

    It saves a tenth of the time of a training on two cores. Without glibc nothing happens.
    """
    trim_threshold, most_mapped = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        tune = ctypes.CDLL(None).mallopt
        tune(most_mapped, 0)
        tune(trim_threshold, 2**31 - 1)
