"""How a network sees a slab: its orientation, size and scaling, and the way back for what it returns.

Our networks see slabs as they are. The released code and its successor stretch the mean of the middle slices to
256 x 256 pixels, scale it from its minimum to its maximum, and each has an orientation of its own.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from utils.inference.heatmaps import STRIDE

MULTIPLE = 64  # our slabs are padded to a multiple of this: four levels of pooling at a quarter of the resolution
SIDE = 256  # pixels of the released code's images


class Upright:
    """Rows from superior to inferior, columns from anterior to posterior, at the slab's own size."""

    def image(self, slabs):
        """Return slabs (S, H, W) as float32 images (S, h, w) for the network."""
        height, width = slabs.shape[1:]
        padded = np.zeros((len(slabs), *(-(-size // MULTIPLE) * MULTIPLE for size in (height, width))), np.float32)
        padded[:, :height, :width] = slabs
        return padded

    def back(self, maps, shape):
        """Return maps (..., h / 4, w / 4) of the network on the slabs' grid (..., ceil(H / 4), ceil(W / 4)).

        Parameters
        ----------
        maps : array
        shape : (H, W)
            Of the slabs.
        """
        rows, columns = cells_of(shape)
        return maps[..., :rows, :columns]


@dataclass(frozen=True)
class Stretched:
    """An image of 256 x 256 pixels, scaled from its minimum to its maximum; methods as of `Upright`.

    Attributes
    ----------
    flipped : tuple of int
        Axes of the slab along which the image runs the other way: -2 rows, -1 columns.
    transposed : bool
        Rows of the image are columns of the slab, after the flips.
    """

    flipped: tuple
    transposed: bool

    def image(self, slabs):
        """Return slabs (S, H, W) as float32 images (S, 256, 256)."""
        margins = [(0, -size % STRIDE) for size in slabs.shape[1:]]  # so that heatmaps share the slabs' edges
        image = np.flip(np.pad(slabs, ((0, 0), *margins), "edge"), self.flipped)
        image = resize(image.swapaxes(-2, -1) if self.transposed else image, (SIDE, SIDE), "bilinear")
        low, high = (extreme((1, 2), keepdims=True) for extreme in (image.min, image.max))
        return (image - low) / np.maximum(high - low, 1e-6)

    def back(self, maps, shape):
        """Return maps (..., 64, 64) on the slabs' grid."""
        rows, columns = cells_of(shape)
        size = (columns, rows) if self.transposed else (rows, columns)
        maps = resize(maps, size, "bicubic").clip(0, 1)  # between cells, bilinear values would flatten the maxima
        return np.flip(maps.swapaxes(-2, -1) if self.transposed else maps, self.flipped)


VIEWS = {
    "upright": Upright(),
    "released": Stretched((-2, -1), True),  # rows from posterior to anterior, columns from inferior to superior
    "successor": Stretched((-1,), False),  # rows from superior to inferior, columns from posterior to anterior
}


def cells_of(shape):
    """Return the number of rows and columns of a heatmap of a slab with a shape (H, W)."""
    return tuple(-(-size // STRIDE) for size in shape)


def resize(maps, size, mode):
    """Interpolate maps (..., h, w) to a size; both grids cover the same rectangle, as in OpenCV's resize."""
    flat = torch.from_numpy(np.array(maps, np.float32)).reshape(-1, 1, *maps.shape[-2:])
    return F.interpolate(flat, size, mode=mode, align_corners=False).numpy().reshape(*maps.shape[:-2], *size)
