"""Contrasts of synthetic images, and the faults that scanners and those who pass images on add to them."""

import numpy as np
import torch
import torch.nn.functional as F

from utils.synthesis.batch_random import SIZE
from utils.synthesis.canvas import CSF
from utils.synthesis.volumes import CONTRASTS

BRIGHT_FLUID_SHARE = 0.25  # of those where all is dark beside the fluid, as by heavy weighting by T2
KNOWN_CONTRAST = 0.75  # share of images whose tissues are ordered as a real sequence orders them


def draw_signals(draw):
    """Choose the intensity (B, tissues) of every tissue: that of a known sequence, of two mixed, or any."""
    known = torch.tensor(np.array(list(CONTRASTS.values())), dtype=torch.float32, device=draw.device)
    first, second = (
        torch.randint(len(known), (draw.count,), generator=draw.generator, device=draw.device) for _ in (0, 1)
    )
    mixed = draw.chance(0.3) * draw.uniform(0, 0.6)
    signal = torch.lerp(known[first], known[second], mixed[:, None]) * torch.exp(draw.normal(0, 0.2, known.shape[1]))
    signal[:, CSF] *= torch.exp(draw.chance(BRIGHT_FLUID_SHARE) * draw.uniform(0, 1.2))
    anything = draw.uniform(0.02, 1, known.shape[1])
    anything[:, 0] = draw.uniform(0, 0.06)  # air stays dark
    return torch.where(draw.chance(KNOWN_CONTRAST)[:, None] > 0, signal, anything)


def add_faults(draw, image, points):
    """Add shading, saturation, blur, ringing, ghosts and noise to images (B, 1, H, W)."""
    shape = (-1, 1, 1, 1)
    column = torch.linspace(-1, 1, SIZE, device=draw.device)
    image = image * torch.exp(draw.smooth(3) * draw.uniform(0, 0.4)[:, None, None])[:, None]
    fall = draw.uniform(-0.2, 1.3) + draw.chance(0.25) * draw.uniform(0, 1.2)
    image = image * torch.exp(column * fall.view(shape))  # the coil lies behind
    # A saturation band in front of the spine.
    edge = torch.nanmean(points[:, 1:, 1], 1) - draw.uniform(22, 70)
    band = torch.sigmoid((torch.arange(SIZE, device=draw.device) - edge.view(shape)) / 3)
    weak = 1 - draw.chance(0.35) * draw.uniform(0.6, 0.98)
    image = image * (band + (1 - band) * weak.view(shape))
    image = _blur(image, draw.chance(0.6) * draw.uniform(0.2, 1.5), draw.chance(0.6) * draw.uniform(0.2, 1.5))
    ringing = draw.chance(0.15)
    if ringing.any():
        image = torch.where(ringing.view(shape) > 0, _ring(image, 0.65), image)
    # A moving body, seen again some way off along the phase encoding.
    shift = int(draw.uniform(20, 90)[0])
    image = image + (draw.chance(0.2) * draw.uniform(0.02, 0.12)).view(shape) * image.roll(shift, 2 + shift % 2)
    top = image.flatten(1).amax(1).clamp(min=1e-3).view(shape)
    spread = (draw.chance(0.8) * 0.07 * draw.uniform(0, 1) ** 2).view(shape) * top
    noise = draw.normal(0, 1, 2, SIZE, SIZE)
    image = ((image + spread * noise[:, :1]) ** 2 + (spread * noise[:, 1:]) ** 2).sqrt()  # Rician
    image = (image / top) ** torch.exp(draw.normal(0, 0.2)).view(shape)
    # Windowed as for reading: the bright end, or the dark one, is cut off.
    values = image.flatten(1)[:, ::16].sort(1).values
    last = values.shape[1] - 1
    high = 1 - draw.chance(0.3) * draw.uniform(0.005, 0.14)
    low = draw.chance(0.15) * draw.uniform(0, 0.3)
    low, high = (torch.gather(values, 1, (part * last).long()[:, None]).view(shape) for part in (low, high))
    image = (torch.minimum(image, high) - low).clamp(min=0)
    return _burn_in(draw, image)


def normalise_images(image, filled):
    """Scale images (B, 1, H, W) to 0..1 as `utils.scans.sagittal.normalise` does, over what is in view."""
    result = torch.zeros_like(image)
    for one, seen, out in zip(image, filled, result, strict=True):
        values = one[seen]
        if len(values) == 0:
            continue
        part = values[:: max(len(values) // 8192, 1)].sort().values
        low, high = part[int(0.005 * (len(part) - 1))], part[int(0.995 * (len(part) - 1))]
        scaled = ((values - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
        root = np.log(0.25) / torch.log(scaled.mean().clamp(1e-3, 0.25))
        out[seen] = scaled**root
    return result


def draw_noise(draw):
    """Return images (B, 1, H, W) of noise alone, of fine to coarse grain, in 0..1."""
    grain = draw.uniform(0, 3)
    noise = _blur(draw.normal(0, 1, 2, SIZE, SIZE).flatten(0, 1)[:, None], *2 * [grain.repeat_interleave(2)])
    strength = noise.view(-1, 2, SIZE, SIZE).square().sum(1, keepdim=True).sqrt()
    top = strength.flatten(1).amax(1).view(-1, 1, 1, 1)
    return (strength / top * draw.uniform(0.3, 1.5).view(-1, 1, 1, 1)).clamp(max=1)


def _burn_in(draw, image):
    """Write bright marks, as of letters and rulers, into some images (B, 1, H, W)."""
    row, column = draw.uniform(0, SIZE, 2), draw.uniform(0, SIZE, 2)
    tall, wide = draw.uniform(4, 12, 2), draw.uniform(5, 50, 2)
    line = torch.arange(SIZE, device=draw.device)
    rows = (line >= row[..., None]) & (line < (row + tall)[..., None])
    columns = (line >= column[..., None]) & (line < (column + wide)[..., None])
    strokes = F.interpolate(draw.uniform(0, 1, 1, SIZE // 2, SIZE // 2), (SIZE, SIZE))[:, 0] > 0.6
    mark = (rows[..., None] & columns[..., None, :]).any(1) & strokes & (draw.chance(0.08) > 0)[:, None, None]
    return torch.where(mark[:, None], image.flatten(1).amax(1).view(-1, 1, 1, 1), image)


def _blur(image, down, back):
    """Blur images (B, 1, H, W) by standard deviations (B,) in pixels along rows and columns."""
    reach = torch.arange(-4, 5, device=image.device)
    flat = image.transpose(0, 1)
    for sigma, shape in ((down, (-1, 1, 9, 1)), (back, (-1, 1, 1, 9))):
        kernel = torch.exp(-0.5 * (reach / sigma.clamp(min=0.05)[:, None]) ** 2)
        kernel = (kernel / kernel.sum(1, keepdim=True)).view(shape)
        flat = F.conv2d(flat, kernel, padding=(kernel.shape[2] // 2, kernel.shape[3] // 2), groups=len(image))
    return flat.transpose(0, 1)


def _ring(image, share):
    """Drop the high frequencies along the rows: truncation (Gibbs) artefacts."""
    wave = torch.fft.rfft(image, dim=2)
    wave[:, :, int(share * wave.shape[2]) :] = 0
    return torch.fft.irfft(wave, n=SIZE, dim=2)
