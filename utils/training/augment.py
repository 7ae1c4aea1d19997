"""Training transforms of a slice together with its points, none of which changes the anatomy.

One sampled map moves image and points: rotation, scale, translation and a mild elastic field. There is
no mirror: front and back, up and down are anatomy.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

ROTATION = 15.0  # largest angle in degrees
ZOOM = 0.2  # largest one in or out, as a logarithm
ELASTIC = 2.5  # standard deviation of the elastic displacement in pixels at its knots, about 64 pixels apart


@dataclass(frozen=True)
class Map:
    """Where each pixel of the output is read from.

    ``source = matrix @ (output - centre_out) + centre_in + field(output)``, in pixels (row, col).

    Attributes
    ----------
    matrix : (2, 2) array
    centre_in, centre_out : (2,) arrays
    field : (2, H, W) float32 array or None
        Smooth displacement, in pixels of the source.
    shape : (H, W)
        Of the output.
    """

    matrix: np.ndarray
    centre_in: np.ndarray
    centre_out: np.ndarray
    field: np.ndarray | None
    shape: tuple

    def image(self, image):
        """Resample a slice (H, W) linearly; 0 outside of it."""
        grid = np.indices(self.shape, np.float32).reshape(2, -1) - self.centre_out[:, None]
        source = (self.matrix @ grid).reshape(2, *self.shape) + self.centre_in[:, None, None]
        if self.field is not None:
            source += self.field
        return ndimage.map_coordinates(image, source.astype(np.float32), order=1, mode="constant", prefilter=False)

    def points(self, points):
        """Move points (N, 2) of the source to the output, to about a hundredth of a pixel."""
        points = np.reshape(points, (-1, 2)).astype(float)
        inverse = np.linalg.inv(self.matrix)
        moved = (points - self.centre_in) @ inverse.T + self.centre_out
        if self.field is None:
            return moved
        for _ in range(12):  # a contraction: the field is smooth, its slope well under 1
            shift = np.stack([ndimage.map_coordinates(f, moved.T, order=1, mode="nearest") for f in self.field], -1)
            moved = (points - self.centre_in - shift) @ inverse.T + self.centre_out
        return moved


def crop_map(shape, out_shape):
    """Return the map that cuts or pads a slice of ``shape`` to ``out_shape`` and changes nothing else.

    Parameters
    ----------
    shape, out_shape : (H, W)
    """
    middle = (np.asarray(shape) - 1) / 2
    middle_out = (np.asarray(out_shape) - 1) / 2
    # Whole pixels: a plain crop must not blur.
    return Map(np.eye(2), np.round(middle - middle_out) + middle_out, middle_out, None, tuple(out_shape))


def sample_map(rng, shape, points, out_shape):
    """Draw a random map from a slice to a training image.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (H, W)
        Of the slice.
    points : (N, 2) array
        Its discs; the output is centred near one of them, so that some stay in view.
    out_shape : (H, W)

    Returns
    -------
    Map
    """
    angle = np.deg2rad(rng.uniform(-ROTATION, ROTATION))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shape, out_shape = np.asarray(shape), tuple(out_shape)
    centre = (shape - 1) / 2
    if len(points):
        centre = 0.5 * (centre + points[rng.integers(len(points))])
    centre = centre + rng.uniform(-0.15, 0.15, 2) * out_shape
    knots = rng.normal(0, ELASTIC, (2, 5, 5)) if rng.random() < 0.5 else None
    field = None
    if knots is not None:
        zoom = [size / 5 for size in out_shape]
        field = np.stack([ndimage.zoom(k, zoom, order=3, mode="nearest") for k in knots]).astype(np.float32)
    matrix = turn * np.exp(rng.uniform(-ZOOM, ZOOM))
    return Map(matrix, centre, (np.array(out_shape) - 1) / 2, field, out_shape)


def sample_window(rng, shape, points):
    """Draw a field of view: a window (top, bottom, front, back) of the output in whole pixels, seldom the whole of it.

    A third of the windows hold a few neighbouring discs only, as a cervical or lumbar scan does. Discs beyond the
    output are left out of them.
    """
    height, width = shape
    points = points[((points >= 0) & (points < shape)).all(1)]
    window = [0, height, 0, width]
    if rng.random() < 0.33 and len(points) > 1:
        count = rng.integers(2, len(points) + 1)
        first = rng.integers(0, len(points) - count + 1)
        rows = np.sort(points[first : first + count, 0])
        window[:2] = rows[0] - rng.uniform(5, 40), rows[-1] + rng.uniform(5, 40)
    if rng.random() < 0.2 and len(points):
        window[2:] = points[:, 1].min() - rng.uniform(20, 90), points[:, 1].max() + rng.uniform(20, 90)
    return np.clip(np.round(window), 0, [height, height, width, width]).astype(int)


def change_contrast(rng, image):
    """Map the intensities of an image in 0..1 through a random curve.

    Half of the curves rise throughout, as another weighting of the same kind would; the others also turn
    bright tissues dark, as another sequence does. So the network learns shapes rather than one scanner's greys.
    """
    knots = rng.uniform(0, 1, 6)
    if rng.random() < 0.5:
        knots = np.sort(knots)
    return np.interp(image, np.linspace(0, 1, len(knots)), knots)


def change_intensity(rng, image):
    """Change contrast, brightness, bias field, sharpness and noise of an image (H, W) in 0..1."""
    image = np.clip(image, 0, 1)
    if rng.random() < 0.4:
        share = rng.uniform(0.4, 1.0)  # how far to go towards the random curve
        image = (1 - share) * image + share * change_contrast(rng, image)
    image = np.clip(image, 0, 1) ** np.exp(rng.normal(0, 0.4))
    if rng.random() < 0.5:
        knots = ndimage.zoom(rng.normal(0, 0.35, (3, 3)), [size / 3 for size in image.shape], order=3, mode="nearest")
        image = image * np.exp(knots)
    if rng.random() < 0.3:
        image = ndimage.gaussian_filter(image, rng.uniform(0.3, 1.8))
    if rng.random() < 0.5:
        image = image + rng.normal(0, rng.uniform(0, 0.1), image.shape)
    image = image * np.exp(rng.normal(0, 0.2)) + rng.normal(0, 0.05)
    return np.clip(image, 0, 1).astype(np.float32)
