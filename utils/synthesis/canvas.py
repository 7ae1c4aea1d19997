"""The tissues of a synthetic body, and the canvas that they are drawn on."""

import numpy as np
from PIL import Image, ImageDraw

TISSUES = (
    "air",
    "fat",
    "muscle",
    "marrow",
    "nucleus",
    "fibre",
    "csf",
    "cord",
    "vessel",
    "organ",
    "lung",
    "worn disc",
    "brain",
    "urine",
    "bowel",
    "skin",
    "roots",
    "tumour",
)
AIR, FAT, MUSCLE, MARROW, NUCLEUS, FIBRE, CSF, CORD, VESSEL = range(9)
ORGAN, LUNG, WORN, BRAIN, URINE, BOWEL, SKIN, ROOTS, TUMOUR = range(9, 18)
PIXEL_MM = 0.5
HEIGHT_MM, WIDTH_MM = 900, 330
HEAD_MM = 135  # above C1
CORD_MAP, CANAL_MAP, BODY_MAP, BESIDE_MAP = range(4)


def rounded(corners, share=0.12, times=2):
    """Cut the corners of a closed polygon (N, 2), twice (Chaikin 1974): bones have none."""
    corners = np.asarray(corners, float)
    for _ in range(times):
        after = np.roll(corners, -1, 0)
        corners = np.stack([corners + share * (after - corners), after + share * (corners - after)], 1).reshape(-1, 2)
    return corners


class Canvas:
    """Maps that shapes in mm are drawn on."""

    def __init__(self):
        self.shape = (round(HEIGHT_MM / PIXEL_MM), round(WIDTH_MM / PIXEL_MM))
        self.images = [Image.new("L", self.shape[::-1]) for _ in range(4)]
        self.pens = [ImageDraw.Draw(image) for image in self.images]

    def fill(self, corners, tissue, maps=(0, 1, 2, 3)):
        """Fill a polygon (N, 2) in mm."""
        outline = [(column, row) for row, column in (np.asarray(corners) / PIXEL_MM).tolist()]
        for index in maps:
            self.pens[index].polygon(outline, fill=int(tissue))

    def blob(self, centre, radii, tissue, maps=(0, 1, 2, 3), angle=0.0):
        """Fill an ellipse in mm; ``angle`` in radians."""
        round_ = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        row, column = radii[0] * np.cos(round_), radii[1] * np.sin(round_)
        rotated = [row * np.cos(angle) - column * np.sin(angle), row * np.sin(angle) + column * np.cos(angle)]
        self.fill(np.asarray(centre) + np.stack(rotated, -1), tissue, maps)

    def ribbon(self, front, back, tissue, maps=(0, 1, 2, 3)):
        """Fill what lies between two lines (N, 2) in mm."""
        self.fill(np.concatenate([front, back[::-1]]), tissue, maps)
