"""Where an upright sagittal slice lies in the world: pixels to world millimetres, and back."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plane:
    """Where an upright sagittal slice lies in the world.

    Attributes
    ----------
    origin : (3,) array
        World position in mm of the centre of pixel (0, 0).
    down, back : (3,) arrays
        World vectors in mm of one step along the rows and along the columns.
    across : (3,) array
        Unit vector at right angles to the slice, pointing to the patient's right.
    shape : (H, W)
    """

    origin: np.ndarray
    down: np.ndarray
    back: np.ndarray
    across: np.ndarray
    shape: tuple

    @property
    def spacing(self):
        """Size of a pixel in mm."""
        return float(np.linalg.norm(self.down))

    def to_world(self, points, across_mm=0.0):
        """Turn points (N, 2) in pixels, ``across_mm`` (N,) beside the slice, into world mm (N, 3)."""
        points = np.reshape(points, (-1, 2)).astype(float)
        beside = np.broadcast_to(across_mm, len(points))[:, None] * self.across
        return self.origin + points[:, :1] * self.down + points[:, 1:] * self.back + beside

    def to_pixel(self, world):
        """Turn world mm (N, 3) into points (N, 2) in pixels and their distance (N,) in mm across the slice."""
        away = np.reshape(world, (-1, 3)) - self.origin
        points = np.stack([away @ self.down, away @ self.back], -1) / self.spacing**2
        return points, away @ self.across

    def as_array(self):
        """Return origin, down, back and across as the rows of a (4, 3) array, for storage."""
        return np.stack([self.origin, self.down, self.back, self.across])

    @classmethod
    def from_array(cls, array, shape):
        """Rebuild a plane from `as_array`."""
        return cls(*np.asarray(array, float), tuple(int(size) for size in shape))
