"""The head of a synthetic spine: skull, brain, brainstem and cerebellum, face and upper airway.

Places are in mm above C1 and behind it, of a head in profile; they were read off midsagittal views of adults.
"""

import numpy as np

from utils.synthesis.canvas import AIR, BRAIN, CORD, CSF, FAT, FIBRE, MARROW, MUSCLE, ORGAN, SKIN, VESSEL
from utils.synthesis.curves import front_of

CANAL_MAPS, CORD_MAPS = (0, 1), (0,)
_PROFILE = (
    (-58, -78), (-52, -100), (-34, -108), (-18, -111), (-8, -113), (2, -125), (28, -111), (42, -104), (58, -105),
)  # fmt: skip
_VAULT = ((72, 99), (66, 92), (64.5, 90.5), (61, 87), (59.5, 85.5), (57, 83))  # radii of skin, bone, fluid and brain
_FOSSA = ((0, 0), (30, 36), (28.5, 34.5), (25.5, 32), (24.5, 30.5), (20.5, 27))  # the same below, around the cerebellum


def draw_head(rng, canvas, spine):
    """Draw the head above C1; parameters as in `utils.synthesis.pathology`."""
    angle, long, tall = np.deg2rad(rng.normal(0, 8)), rng.uniform(0.92, 1.06), rng.uniform(0.93, 1.07)
    cos, sin = np.cos(angle), np.sin(angle)  # of a head that is in flexion or extension
    up = cos * -spine.tangent[1] + sin * front_of(spine.tangent[1])
    back = -front_of(-up)
    scale, top = spine.size, spine.tips[1]

    def place(high, behind):
        return top + scale * (high * up + behind * back)

    def blob(high, behind, radii, tissue, maps=(0, 1, 2, 3), turn=0.0):
        canvas.blob(place(high, behind), scale * np.array(radii), tissue, maps, turn + np.arctan2(up[1], up[0]))

    def fill(corners, tissue, maps=(0, 1, 2, 3)):
        canvas.fill([place(*corner) for corner in corners], tissue, maps)

    # Nothing lies around the head.
    fill([(24, 66), (-20, 112), (-20, 300), (300, 300), (300, -300), (-58, -300), (-58, -78), (28, -60)], AIR)
    fat = rng.uniform(-2, 4)
    for vault, fossa, tissue in zip(_VAULT, _FOSSA, (SKIN, FIBRE, MARROW, FIBRE, CSF, BRAIN), strict=True):
        more = fat if tissue == SKIN else 0.0
        blob(78, -8, ((vault[0] + more) * tall, (vault[1] + more) * long), tissue)
        if tissue == SKIN:
            blob(78, -8, ((vault[0] + more - 1.5) * tall, (vault[1] + more - 1.5) * long), FAT)
        else:
            blob(32, 36, fossa, tissue)
    _brain(rng, blob, fill)
    _face(rng, blob, fill)
    _brainstem(rng, blob, fill)


def _brain(rng, blob, fill):
    """Draw furrows, the corpus callosum with a ventricle below it, and tumours now and then."""
    for turn in np.linspace(-1.2, 4.0, 14) + rng.normal(0, 0.1, 14):
        deep = rng.uniform(0.78, 0.95)
        high, behind = 78 + 57 * deep * np.sin(turn), -8 - 83 * deep * np.cos(turn)
        blob(high, behind, (1.0, rng.uniform(5, 11)), CSF, CANAL_MAPS, -turn)
    high, tissue = rng.uniform(80, 88), rng.choice([BRAIN, ORGAN, FAT])
    blob(high, -10, (20, 36), tissue)
    blob(high - 4, -10, (17, 32), CSF if rng.random() < 0.7 else BRAIN)
    blob(high - 12, -8, (14, 26), BRAIN)
    if rng.random() < 0.1:
        blob(rng.uniform(60, 115), rng.uniform(-60, 50), rng.uniform(6, 22, 2), rng.choice([FAT, CSF, VESSEL]))


def _face(rng, blob, fill):
    """Draw the face below the brain, with nose, mouth, throat and jaw."""
    roof = [(56, -96), (47, -60), (44, -30), (2, -8), (-20, -14), (-58, -50)]
    fill([*_PROFILE, *roof], SKIN)
    fill([(high, behind + 2) for high, behind in _PROFILE] + roof, FAT)
    fill([(-50, -60), (-46, -94), (30, -96), (44, -40), (2, -10), (-30, -16)], MUSCLE)
    for _ in range(5):
        tissue = rng.choice([MUSCLE, AIR, FAT, FIBRE])
        blob(rng.uniform(-10, 35), rng.uniform(-80, -30), rng.uniform(3, 9, 2), tissue, turn=rng.uniform(0, 3))
    fill([(0, -108), (24, -106), (38, -88), (36, -58), (12, -48), (2, -58)], AIR if rng.random() < 0.6 else MUSCLE)
    for high in (8, 17, 27):  # folds of the nose
        blob(high, rng.uniform(-82, -72), (rng.uniform(2, 4), rng.uniform(12, 20)), rng.choice([MUSCLE, VESSEL, ORGAN]))
    blob(34, -46, (rng.uniform(6, 11), rng.uniform(8, 14)), AIR if rng.random() < 0.8 else MARROW)  # sphenoid sinus
    blob(62, -98, (rng.uniform(3, 10), rng.uniform(2, 4)), AIR if rng.random() < 0.7 else MARROW)  # frontal sinus
    fill([(-1, -106), (-3, -60), (-7, -60), (-9, -106)], FIBRE)  # hard palate
    fill([(-3, -60), (-7, -46), (-22, -32), (-24, -36), (-9, -56)], MUSCLE)  # soft palate
    tissue = rng.choice([MUSCLE, ORGAN])
    blob(-32, -72, (rng.uniform(19, 24), rng.uniform(23, 29)), tissue)  # tongue
    blob(-36, -66, (rng.uniform(5, 12), rng.uniform(8, 18)), rng.choice([FAT, MUSCLE]))
    if rng.random() < 0.5:
        fill([(-9, -95), (-10, -60), (-26, -44), (-22, -42), (-6, -58), (-6, -95)], AIR)  # mouth
    blob(-22, -104, (11, 3), FIBRE)  # teeth
    blob(-44, -100, (11, 6), FIBRE)
    blob(-44, -100, (9, 4), MARROW)  # the chin
    wide = 9 * rng.uniform(0, 1)
    throat = [(14, -42), (16, -26), (8, -19), (-24, -16), (-40, -18), (-40, -22 - wide), (-10, -24 - wide)]
    fill(throat, AIR, CANAL_MAPS)
    fill([(-40, -20 - wide), (-26, -24 - wide), (-25, -27 - wide), (-42, -25 - wide)], FIBRE)  # epiglottis


def _brainstem(rng, blob, fill):
    """Draw brainstem and cerebellum with the fluid around them, clivus and the rim of the foramen magnum."""
    tissue = rng.choice([BRAIN, ORGAN], p=[0.8, 0.2])
    blob(31, 38, (19, 24), tissue)  # cerebellum
    for turn in np.linspace(-0.8, 0.8, 6):
        blob(31 + 12 * np.sin(turn), 42 + 12 * np.cos(turn), (0.6, 9), CSF, CANAL_MAPS, turn)
    # Cisterns before and behind the stem; the great one is next to absent in some subjects.
    slant = rng.normal(0, 3)  # of the clivus, in mm at its upper end
    before = [(-7, 2), (8, -1), (42, slant - 17), (47, slant - 10)]
    fill([*before, (47, 10), (22, 17), (-7, 20)], CSF, CANAL_MAPS)
    fill([(-14, 15), (20, 14), (rng.uniform(4, 18), rng.uniform(22, 42))], CSF, CANAL_MAPS)
    stem = [(-8, 5.5), (14, 3.5), (42, -3), (62, -4)]
    fill([*stem, (62, 12), (46, 13), (14, 15), (-8, 15)], CORD, CORD_MAPS)
    blob(29, -1, (rng.uniform(12, 15), rng.uniform(8, 11)), CORD, CORD_MAPS)  # pons
    fill([(22, 15), (34, 13), (28, 20)], CSF, CANAL_MAPS)  # fourth ventricle
    if rng.random() < 0.15:  # tonsils that reach down
        blob(rng.uniform(-4, 4), 20, (rng.uniform(5, 9), 4), tissue, CANAL_MAPS)
    ends = (40, slant - 25), (44, slant - 17)
    fill([(2, -6), *ends, (3, -1)], FIBRE, CANAL_MAPS)  # clivus
    inner = (39, slant - 23), (42, slant - 18.5)
    fill([(4, -6), *inner, (5, -2.5)], MARROW, CANAL_MAPS)
    fill([(-3, 22), (2, 32), (8, 32), (1, 21)], FIBRE, CANAL_MAPS)  # rim of the foramen magnum behind
