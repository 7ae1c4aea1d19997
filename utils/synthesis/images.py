"""Endless training images from drawn anatomies, with random contrasts, views and faults, in batches on the device.

Domain randomisation after SynthSeg (Billot et al. 2023): what a network never sees the same twice, such as
the intensity of a tissue, it cannot rely on; what stays the same, the anatomy, it learns.
"""

import numpy as np
import torch
import torch.nn.functional as F

from utils.discs import FIRST, LEVELS, SACRAL
from utils.inference.second_pass import BACK_MM, BEYOND_MM, FRONT_MM
from utils.scans.sample import BESIDE_MM, IN_SLAB_MM, OUTSIDE, PRESENT
from utils.synthesis.anatomy import generate_anatomy
from utils.synthesis.canvas import AIR, CSF, PIXEL_MM
from utils.synthesis.volumes import CONTRASTS, TEXTURE
from utils.system.pool import processes

SIZE = 256  # pixels of 1 mm along either side
# Where in a pixel, in pixels, and where in the slab's depth, in thicknesses, its four samples lie.
SAMPLES = ((-0.375, -0.125, -0.375), (-0.125, 0.375, 0.125), (0.125, -0.375, 0.375), (0.375, 0.125, -0.125))
PARTS = ("maps", "points", "shift", "widths")
BRIGHT_FLUID_SHARE = 0.25  # of those where all is dark beside the fluid, as by heavy weighting by T2
NOTHING_SHARE = 0.03  # of images that show noise and no spine
LOWEST_WITH_HEAD = 6  # level in the middle of a view that may show the head
KNOWN_CONTRAST = 0.75  # share of images whose tissues are ordered as a real sequence orders them


class Bank:
    """Drawn anatomies on a device.

    Parameters
    ----------
    anatomies : iterable of utils.synthesis.anatomy.Anatomy
    count : int
        How many they are.
    device : torch.device or str

    Attributes
    ----------
    maps : (N, 4, H, W) uint8 tensor
        As in `utils.synthesis.anatomy.Anatomy`.
    points : (N, 27, 2) tensor
        In mm; a row of NaN at index 0.
    shift : (N, H) tensor, widths : (N, H, 3) tensor
        In mm.
    columns : (N, H) tensor
        Where the tips of the discs run, in mm.
    """

    def __init__(self, anatomies, count, device="cpu"):
        for index, anatomy in enumerate(anatomies):
            parts = {part: torch.from_numpy(getattr(anatomy, part)) for part in PARTS}
            if index == 0:  # filled one by one: a bank is most of what a training holds in memory
                for part, own in parts.items():
                    kind = torch.uint8 if part == "maps" else torch.float32
                    setattr(self, part, torch.empty(count, *own.shape, dtype=kind, device=device))
            for part, own in parts.items():
                getattr(self, part)[index] = own
        self.maps[:, :, [0, -1]] = self.maps[..., [0, -1]] = AIR
        rows = np.arange(self.shift.shape[1]) * PIXEL_MM
        lines = [np.interp(rows, tips[1:, 0], tips[1:, 1]) for tips in self.points.cpu().numpy()]
        self.columns = torch.tensor(np.array(lines), dtype=torch.float32, device=device)

    def __len__(self):
        """Return the number of anatomies."""
        return len(self.maps)


def _draw(seed):
    return generate_anatomy(np.random.default_rng(seed))


def generate_bank(count, seed, device="cpu", jobs=1):
    """Draw anatomies, 4.5 MB each, in ``jobs`` processes.

    Parameters
    ----------
    count : int
    seed : int
        Anatomies of different seeds differ.
    device : torch.device or str
    jobs : int

    Returns
    -------
    Bank
    """
    # None of them is one of make_phantom.py's people, whose seeds are two numbers.
    seeds = [[seed, index, 1] for index in range(count)]
    if jobs == 1:
        return Bank(map(_draw, seeds), count, device)
    with processes(jobs) as pool:
        return Bank(pool.map(_draw, seeds, chunksize=16), count, device)


def generate_images(bank, count, generator):
    """Make images with their discs.

    Parameters
    ----------
    bank : Bank
    count : int
    generator : torch.Generator
        On the bank's device.

    Returns
    -------
    images : (count, 1, 256, 256) tensor in 0..1
        Slices of 1 mm a pixel, normalised as `utils.scans.sagittal.normalise` does.
    points : (count, 27, 2) tensor
        Row and column in pixels by level, as in `utils.synthesis.anatomy.Anatomy`.
    states : (count, 27) int8 tensor
        PRESENT, OUTSIDE or UNKNOWN, by level.
    """
    draw = _Dice(generator, bank.maps.device, count)
    which = torch.randint(len(bank), (count,), generator=generator, device=draw.device)
    view = _View(draw, bank.points[which])
    # Through the spine at the middle of the view as a rule, beside it sometimes.
    row = (view.centre[:, :1] / PIXEL_MM).long().clamp(0, bank.shift.shape[1] - 1)
    depth = torch.gather(bank.shift[which], 1, row)[:, 0] + draw.normal(0, 2.5)
    depth, thickness = depth + draw.chance(0.2) * draw.uniform(-22, 22), draw.uniform(3, 8)
    signal = _signals(draw)
    rough = torch.from_numpy(TEXTURE.astype(np.float32)).to(draw.device) * draw.uniform(0.15, 1.7)[:, None]
    image = torch.zeros(count, SIZE, SIZE, device=draw.device)
    texture = torch.zeros_like(image)
    # The head goes with the cervical spine.
    front = draw.chance(0.6) * draw.normal(0, 60) * (view.level > LOWEST_WITH_HEAD)
    behind = draw.chance(0.3) * draw.normal(0, 12) * (view.level > LOWEST_WITH_HEAD)
    pixels = view.source()
    for down, back, deep in SAMPLES:
        source = _slid(bank, which, view.beside(pixels, down, back), front, behind)
        tissue = _tissues(bank, which, source, depth + deep * thickness)
        image += torch.gather(signal, 1, tissue).view_as(image) / len(SAMPLES)
        texture += torch.gather(rough, 1, tissue).view_as(image) / len(SAMPLES)
    image = image * (1 + texture * draw.smooth(96) + 0.5 * texture * draw.smooth(32)).clamp(min=0.1)
    points = view.points(bank.points[which])
    image = _scanner(draw, image[:, None], points)
    window = _window(draw, points)
    states = _states(bank, which, points, window, depth)
    image = _normalise(image * window, window > 0)
    some = draw.chance(0.2) > 0
    image[some, 0] *= _mask_to_spine(bank, which[some], [axis[some] for axis in pixels], points[some], states[some])
    nothing = draw.chance(NOTHING_SHARE) > 0
    image[nothing], states[nothing] = _no_spine(draw)[nothing], OUTSIDE
    return image, points, states


class _Dice:
    """Random numbers for a batch, one an image unless said otherwise."""

    def __init__(self, generator, device, count):
        self.generator, self.device, self.count = generator, device, count

    def uniform(self, low, high, *shape):
        value = torch.rand(self.count, *shape, generator=self.generator, device=self.device)
        return low + (high - low) * value

    def normal(self, mean, spread, *shape):
        return mean + spread * torch.randn(self.count, *shape, generator=self.generator, device=self.device)

    def chance(self, share):
        return (self.uniform(0, 1) < share).float()

    def smooth(self, knots):
        """Return fields (B, H, W) with standard deviations of about 1, from ``knots`` x ``knots`` random values."""
        field = self.normal(0, 1, 1, knots, knots)
        return F.interpolate(field, (SIZE, SIZE), mode="bicubic" if knots < 16 else "bilinear")[:, 0]


class _View:
    """Where each pixel of the images lies in the drawings, in mm: turned, zoomed, shifted and bent."""

    def __init__(self, draw, points):
        # Cervical and lumbar spines are scanned more often than thoracic ones, and tell the levels apart better.
        often = torch.tensor([0.0] + [0.8] + 7 * [1.2] + 9 * [0.8] + 8 * [1.8] + [0.0], device=draw.device)
        self.level = torch.multinomial(often, draw.count, replacement=True, generator=draw.generator)
        # The spine lies in the back half of a slice as a rule.
        self.centre = points[torch.arange(draw.count), self.level].clone()
        self.centre[:, 0] += draw.uniform(-50, 50) - draw.uniform(0, 70) * (self.level == FIRST)
        self.centre[:, 1] -= draw.uniform(-50, 80)
        # Patients lie as they can, most of all with the neck.
        bent = draw.uniform(0, 1) < torch.where(self.level <= LOWEST_WITH_HEAD + 2, 0.5, 0.2)
        angle = torch.deg2rad(torch.where(bent, draw.uniform(-30, 30), draw.normal(0, 8)))
        zoom = torch.exp(draw.uniform(-0.28, 0.28))
        turn = torch.stack([torch.cos(angle), -torch.sin(angle), torch.sin(angle), torch.cos(angle)], -1)
        # Height and width of a subject differ in scale too.
        self.matrix = turn.view(-1, 2, 2) * (zoom[:, None] * torch.exp(draw.normal(0, 0.05, 2)))[:, None, :]
        self.field = torch.stack([draw.smooth(5), draw.smooth(5)], 1) * (2.5 * draw.chance(0.6))[:, None, None, None]
        self.middle = (SIZE - 1) / 2

    def source(self):
        """Return rows and columns (B, H, W) in mm of the drawing: of the pixels' centres."""
        line = torch.arange(SIZE, device=self.matrix.device) - self.middle
        row, column = line[:, None], line[None, :]
        m, (y, x) = self.matrix[:, :, :, None, None], self.field.unbind(1)
        centre = self.centre[:, :, None, None]
        return (
            m[:, 0, 0] * row + m[:, 0, 1] * column + centre[:, 0] + y,
            m[:, 1, 0] * row + m[:, 1, 1] * column + centre[:, 1] + x,
        )

    def beside(self, source, down, back):
        """Return what lies beside places in the drawing, by parts of a pixel."""
        step = self.matrix @ torch.tensor([down, back], device=self.matrix.device)
        return tuple(axis + step[:, k, None, None] for k, axis in enumerate(source))

    def points(self, source):
        """Return (B, N, 2) pixels of points in the drawing: the map turned around, by fixed-point iteration."""
        inverse = torch.linalg.inv(self.matrix).transpose(1, 2)
        moved = (source - self.centre[:, None]) @ inverse + self.middle
        for _ in range(8):
            grid = (moved.flip(-1) / (SIZE - 1) * 2 - 1)[:, :, None]
            bent = F.grid_sample(self.field, grid.nan_to_num(0), padding_mode="border", align_corners=True)[..., 0]
            moved = (source - self.centre[:, None] - bent.transpose(1, 2)) @ inverse + self.middle
        return moved


def _line(bank, which, rows):
    """Return the column in mm of the discs' tips at rows (B, ...) in mm."""
    place = (rows / PIXEL_MM).round().long().clamp(0, bank.columns.shape[1] - 1)
    return torch.gather(bank.columns[which], 1, place.flatten(1)).view_as(rows)


def _mask_to_spine(bank, which, source, points, states):
    """Return what the second pass over a scan shows (B, H, W), all of it without a disc (see `second_pass`)."""
    row, column = source
    ahead = _line(bank, which, row) - column
    present, rows = states[:, LEVELS[0] : SACRAL] == PRESENT, points[:, LEVELS[0] : SACRAL, 0]
    first = torch.where(present, rows, torch.inf).amin(1) - BEYOND_MM
    last = torch.where(present, rows, -torch.inf).amax(1) + BEYOND_MM
    down = torch.arange(SIZE, device=row.device)[:, None]
    outside = (down < first[:, None, None]) | (down > last[:, None, None])
    return (((ahead < FRONT_MM) & (ahead > -BACK_MM)) | outside).float()


def _slid(bank, which, source, front, behind):
    """Let what lies before and behind the spine slide along it by mm (B,): it tells the levels less than it seems to.

    In drawings, bowel and bladder, fat and skin always go with the same discs; in people they do not.
    """
    row, column = source
    beside = column - _line(bank, which, row)
    slide = torch.where(beside < -FRONT_MM, front[:, None, None], 0.0)
    slide = torch.where(beside > BACK_MM, behind[:, None, None], slide)
    return row + slide, _line(bank, which, row + slide) + beside


def _tissues(bank, which, source, depth):
    """Look up the tissue (B, H * W) at places in the drawing, ``depth`` (B,) mm beside the middle plane."""
    height, width = bank.maps.shape[2:]
    # What lies beyond the drawing is as its edge, which is air.
    row, column = (
        (axis / PIXEL_MM).round().clamp(0, size - 1).long() for axis, size in zip(source, (height, width), strict=True)
    )
    # The four maps follow each other outward; which one a place belongs to depends on its row alone.
    away = (depth[:, None] - bank.shift[which]).abs()
    layer = (away[..., None] > bank.widths[which].cummax(-1).values).sum(-1)  # (B, H) of 0..3
    layer = torch.gather(layer, 1, row.flatten(1)).view_as(row)
    place = ((which[:, None, None] * 4 + layer) * height + row) * width + column
    return bank.maps.view(-1)[place].long().flatten(1)


def _signals(draw):
    """Draw the intensity (B, tissues) of every tissue: those of a known sequence, of two mixed, or anything."""
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


def _scanner(draw, image, points):
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


def _window(draw, points):
    """Draw what is in view (B, 1, H, W) of 0 and 1: all of it, or a part that holds some discs."""
    line = torch.arange(SIZE, device=draw.device)
    height, width = draw.uniform(90, SIZE), 55 + (SIZE - 55) * draw.uniform(0, 1) ** 1.5
    top, left = draw.uniform(0, 1) * (SIZE - height), draw.uniform(0, 1) * (SIZE - width)
    spine = torch.nanmean(points[:, 1:, 1], 1)
    left = torch.minimum(left, (spine - 15).clamp(min=0))
    left = torch.maximum(left, (spine + 35 - width).clamp(max=SIZE))
    cut_rows, cut_columns = draw.chance(0.4)[:, None] > 0, draw.chance(0.4)[:, None] > 0
    # Some images are rotated, and their corners are black.
    slant = (draw.chance(0.2) * draw.uniform(-0.35, 0.35))[:, None, None]
    low, right = line[:, None] + slant * (line - SIZE / 2), line - slant * (line[:, None] - SIZE / 2)
    inside = (low >= 0) & (low < SIZE) & (right >= 0) & (right < SIZE)
    top, left = top[:, None], left[:, None]
    inside &= ~cut_rows[..., None] | ((low >= top[..., None]) & (low < (top + height[:, None])[..., None]))
    inside &= ~cut_columns[..., None] | ((right >= left[..., None]) & (right < (left + width[:, None])[..., None]))
    # Many a lumbar scan ends just below the remnant disc S1-S2, which is taken for L5-S1 most easily there.
    low, ends = points[:, SACRAL, 0] + draw.uniform(0, 30), draw.chance(0.12)
    rows = (line < low[:, None]) | ~((ends > 0) & (low > 90))[:, None]
    # Many a cervical scan begins anywhere between the skull base and C3, so that no skull shows the levels.
    high, begins = points[:, FIRST, 0] + draw.uniform(-30, 50), draw.chance(0.3)
    rows &= (line >= high[:, None]) | ~((begins > 0) & (high < SIZE - 90))[:, None]
    # Black rectangles cover captions at an edge.
    tall, wide, covered = draw.uniform(6, 30), draw.uniform(15, 110), draw.chance(0.12)[:, None] > 0
    caption_top = torch.where(draw.chance(0.5) > 0, top[:, 0], top[:, 0] + height - tall)
    caption_left = torch.where(draw.chance(0.5) > 0, left[:, 0], left[:, 0] + width - wide)
    down = covered & (line >= caption_top[:, None]) & (line < (caption_top + tall)[:, None])
    across = (line >= caption_left[:, None]) & (line < (caption_left + wide)[:, None])
    return (inside & rows[:, :, None] & ~(down[:, :, None] & across[:, None, :])).float()[:, None]


def _normalise(image, filled):
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


def _no_spine(draw):
    """Return images (B, 1, H, W) of noise alone, of fine to coarse grain, in 0..1."""
    grain = draw.uniform(0, 3)
    noise = _blur(draw.normal(0, 1, 2, SIZE, SIZE).flatten(0, 1)[:, None], *2 * [grain.repeat_interleave(2)])
    strength = noise.view(-1, 2, SIZE, SIZE).square().sum(1, keepdim=True).sqrt()
    top = strength.flatten(1).amax(1).view(-1, 1, 1, 1)
    return (strength / top * draw.uniform(0.3, 1.5).view(-1, 1, 1, 1)).clamp(max=1)


def _states(bank, which, points, window, depth):
    """Tell for each level (B, 27) whether it is present (1), outside (0) or unknown (-1)."""
    pixel = points.nan_to_num(-1e6).round().long()
    inside = ((pixel >= 0) & (pixel < SIZE)).all(-1)
    row, column = pixel.clamp(0, SIZE - 1).unbind(-1)
    inside &= torch.gather(window.flatten(1), 1, row * SIZE + column) > 0
    height = (bank.points[which][..., 0].nan_to_num(0) / PIXEL_MM).long().clamp(0, bank.shift.shape[1] - 1)
    away = (torch.gather(bank.shift[which], 1, height) - depth[:, None]).abs()
    states = torch.where(away <= IN_SLAB_MM, 1, torch.where(away <= BESIDE_MM, -1, 0))
    return torch.where(inside, states, 0).to(torch.int8)
