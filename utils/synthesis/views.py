"""Views of synthetic spines: where each pixel lies in an anatomy, which part is in view, and which discs are.

Arrays of a batch begin with B; a `utils.synthesis.images.Bank` holds the anatomies, and ``which`` (B,) says which of
them an image shows.
"""

import torch
import torch.nn.functional as F

from utils.discs import FIRST, LEVELS, SACRAL
from utils.inference.second_pass import BACK_MM, BEYOND_MM, FRONT_MM
from utils.scans.sample import BESIDE_MM, IN_SLAB_MM, PRESENT
from utils.synthesis.batch_random import SIZE
from utils.synthesis.canvas import PIXEL_MM

LOWEST_WITH_HEAD = 6  # level in the middle of a view that may show the head


class View:
    """Where each pixel of the images lies in the anatomies, in mm: rotated, zoomed, shifted and bent."""

    def __init__(self, draw, points):
        # Cervical and lumbar spines are scanned more often than thoracic ones, and show better which level is which.
        often = torch.tensor([0.0] + [0.8] + 7 * [1.2] + 9 * [0.8] + 8 * [1.8] + [0.0], device=draw.device)
        self.level = torch.multinomial(often, draw.count, replacement=True, generator=draw.generator)
        # The spine lies in the back half of a slice as a rule.
        self.centre = points[torch.arange(draw.count), self.level].clone()
        self.centre[:, 0] += draw.uniform(-50, 50) - draw.uniform(0, 70) * (self.level == FIRST)
        self.centre[:, 1] -= draw.uniform(-50, 80)
        # Patients lie as they can, most of all with the cervical spine.
        bent = draw.uniform(0, 1) < torch.where(self.level <= LOWEST_WITH_HEAD + 2, 0.5, 0.2)
        angle = torch.deg2rad(torch.where(bent, draw.uniform(-30, 30), draw.normal(0, 8)))
        zoom = torch.exp(draw.uniform(-0.28, 0.28))
        turn = torch.stack([torch.cos(angle), -torch.sin(angle), torch.sin(angle), torch.cos(angle)], -1)
        # Height and width of a subject differ in scale too.
        self.matrix = turn.view(-1, 2, 2) * (zoom[:, None] * torch.exp(draw.normal(0, 0.05, 2)))[:, None, :]
        self.field = torch.stack([draw.smooth(5), draw.smooth(5)], 1) * (2.5 * draw.chance(0.6))[:, None, None, None]
        self.middle = (SIZE - 1) / 2

    def source(self):
        """Return rows and columns (B, H, W) in mm of the anatomies: of the pixels' centres."""
        line = torch.arange(SIZE, device=self.matrix.device) - self.middle
        row, column = line[:, None], line[None, :]
        m, (y, x) = self.matrix[:, :, :, None, None], self.field.unbind(1)
        centre = self.centre[:, :, None, None]
        return (
            m[:, 0, 0] * row + m[:, 0, 1] * column + centre[:, 0] + y,
            m[:, 1, 0] * row + m[:, 1, 1] * column + centre[:, 1] + x,
        )

    def beside(self, source, down, back):
        """Return places beside others in the anatomies, by parts of a pixel."""
        step = self.matrix @ torch.tensor([down, back], device=self.matrix.device)
        return tuple(axis + step[:, k, None, None] for k, axis in enumerate(source))

    def points(self, source):
        """Return (B, N, 2) pixels of points in the anatomies: the map inverted, by fixed-point iteration."""
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


def slide(bank, which, source, front, behind):
    """Let what lies before and behind the spine slide along it by mm (B,).

    It identifies the levels less than it seems to: in synthetic anatomies, bowel and bladder, fat and skin always go
    with the same discs; in patients they do not.
    """
    row, column = source
    beside = column - _line(bank, which, row)
    slide = torch.where(beside < -FRONT_MM, front[:, None, None], 0.0)
    slide = torch.where(beside > BACK_MM, behind[:, None, None], slide)
    return row + slide, _line(bank, which, row + slide) + beside


def tissues_at(bank, which, source, depth):
    """Return the tissue (B, H * W) at places in the anatomies, ``depth`` (B,) mm beside the middle plane."""
    height, width = bank.maps.shape[2:]
    # What lies beyond the maps is as their edge, which is air.
    row, column = (
        (axis / PIXEL_MM).round().clamp(0, size - 1).long() for axis, size in zip(source, (height, width), strict=True)
    )
    # The four maps follow each other outward; which one a place belongs to depends on its row alone.
    away = (depth[:, None] - bank.shift[which]).abs()
    layer = (away[..., None] > bank.widths[which].cummax(-1).values).sum(-1)  # (B, H) of 0..3
    layer = torch.gather(layer, 1, row.flatten(1)).view_as(row)
    place = ((which[:, None, None] * 4 + layer) * height + row) * width + column
    return bank.maps.view(-1)[place].long().flatten(1)


def draw_window(draw, points):
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


def states_of(bank, which, points, window, depth):
    """Return for each level (B, 27) whether it is present (1), outside (0) or unknown (-1)."""
    pixel = points.nan_to_num(-1e6).round().long()
    inside = ((pixel >= 0) & (pixel < SIZE)).all(-1)
    row, column = pixel.clamp(0, SIZE - 1).unbind(-1)
    inside &= torch.gather(window.flatten(1), 1, row * SIZE + column) > 0
    height = (bank.points[which][..., 0].nan_to_num(0) / PIXEL_MM).long().clamp(0, bank.shift.shape[1] - 1)
    away = (torch.gather(bank.shift[which], 1, height) - depth[:, None]).abs()
    states = torch.where(away <= IN_SLAB_MM, 1, torch.where(away <= BESIDE_MM, -1, 0))
    return torch.where(inside, states, 0).to(torch.int8)


def shown_in_second_pass(bank, which, source, points, states):
    """Return what the second pass over a scan shows (B, H, W), all of it without a disc (see `second_pass`)."""
    row, column = source
    ahead = _line(bank, which, row) - column
    present, rows = states[:, LEVELS[0] : SACRAL] == PRESENT, points[:, LEVELS[0] : SACRAL, 0]
    first = torch.where(present, rows, torch.inf).amin(1) - BEYOND_MM
    last = torch.where(present, rows, -torch.inf).amax(1) + BEYOND_MM
    down = torch.arange(SIZE, device=row.device)[:, None]
    outside = (down < first[:, None, None]) | (down > last[:, None, None])
    return (((ahead < FRONT_MM) & (ahead > -BACK_MM)) | outside).float()
