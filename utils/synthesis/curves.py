"""The curves of a synthetic spine: where its discs lie, and which way their faces look.

Angles follow Vialle et al. 2005 (of the standing spine, lessened for the supine position).
"""

import numpy as np

from utils.discs import FIRST, LAST, SACRAL, TYPICAL_GAP_MM
from utils.synthesis.canvas import WIDTH_MM
from utils.synthesis.surroundings import at

# Angle in degrees of the way from a disc to the next one, backward positive, by level; sacrum from 25 on.
_CERVICAL = ([1, 2, 4, 7, 9], [0, -6, -4, 16, 4])
_THORACIC = ([6, 8, 10, 13, 17, 20], [0, 10, 20, 6, -9, -4])
_LUMBAR = ([17, 19, 21, 22, 23, 24, 25], [0, -10, -14, -11, -4, 0, 0])
_SACRAL = ([22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32], [0, 3, 17, 45, 52, 45, 25, 4, -14, -30, -40])
_JUNCTION = ([21, 22, 23, 24, 25, 27], [0, 0.15, 0.5, 1, 0.8, 0])  # how steep L5 and S1 lie differs most
STRAIGHT_SHARE = 0.1  # of the spines that have no curves to speak of, as a straightened template
# Share of a bend of the spine that lies in the disc, by level; the rest lies in the bodies. Lordoses are made by wedges
# of disc, most of all at L5-S1, the kyphosis of the chest by wedges of bone (Vialle et al. 2005; Been et al. 2010).
_WEDGE = ([1, 3, 7, 9, 10, 17, 19, 21, 24, 25, 26], [0, 0.6, 0.6, 0.3, 0.1, 0.1, 0.4, 0.65, 0.7, 0.65, 0])
SLIP_SHARE = 0.08  # of the people with a spondylolisthesis, most often of L4 or L5 (Kalichman et al. 2009)
_SACRAL_GAP = (23.0, 19.0, 17.0, 15.0, 9.0, 8.0, 7.0)  # S2 to S5 and three of the coccyx


def draw_chain(rng, size):
    """Draw where the discs lie, and how.

    Parameters
    ----------
    rng : numpy.random.Generator
    size : float
        Of the subject, 1 for a typical one.

    Returns
    -------
    tips : (34, 2) array
        Posterior tips in mm, (row, col), of discs 1 to 25 by level, and of the joints of sacrum and coccyx below.
    tangent : (34, 2) array
        Unit vectors down through each of them.
    faces : (2, 34, 2) array
        The same, at right angles to the upper and to the lower face of each.
    slip : (34,) array
        By how many mm what is above a disc lies before what is below it.
    """
    bend = {
        "c": rng.uniform(-0.2, 1.5),
        "t": rng.uniform(0.5, 1.5),
        "l": rng.uniform(0.4, 1.5),
        "s": rng.uniform(0.45, 1.3),
        # More steep and more level ones than there are, so that L5 is told by more than how it lies.
        "j": rng.choice([rng.normal(0, 10), rng.uniform(-24, 30)]),
    }
    if rng.random() < STRAIGHT_SHARE:
        bend |= {key: rng.uniform(0, 0.25) * bend[key] for key in "ctl"}
    tilt = rng.normal(0, 3)
    gaps = [TYPICAL_GAP_MM[level] * (1 + rng.normal(0, 0.035)) for level in range(FIRST, SACRAL)] + list(_SACRAL_GAP)
    gaps = size * np.array(gaps)
    gaps[24 - FIRST] *= 0.92  # L5 is a wedge, lower behind
    levels = np.arange(FIRST, FIRST + len(gaps))
    angles = sum(
        bend[key] * at(table, levels)
        for key, table in (("c", _CERVICAL), ("t", _THORACIC), ("l", _LUMBAR), ("s", _SACRAL), ("j", _JUNCTION))
    )
    angles = np.deg2rad(angles + tilt + rng.normal(0, 1.2, len(angles)))
    steps = gaps[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    tips = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])
    tips = np.concatenate([np.full((1, 2), np.nan), tips])  # index is the level
    tangent = np.full_like(tips, np.nan)
    tangent[1:-1] = steps
    tangent[2:-1] += steps[:-1]
    tangent[-1] = steps[-1]
    tangent[LAST] += 0.6 * steps[LAST - 1]  # the disc L5-S1 lies on the sacrum, and L5 is what is tilted against it
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    faces = _faces(steps, tangent, rng.uniform(0.6, 1.25))
    slip = np.zeros(len(tips))
    if rng.random() < SLIP_SHARE:  # a vertebra, and all above it, forward on the next one
        level = rng.choice([22, 23, 24, 25], p=[0.1, 0.2, 0.45, 0.25])
        slip[level] = size * rng.uniform(2.5, 11)
        ahead = slip[level] * np.array([tangent[level, 1], -tangent[level, 0]])
        tips[1:level] += ahead
        tips[level] += 0.5 * ahead
    tips[1:] += [95 - tips[1, 0], 0.62 * WIDTH_MM - np.nanmean(tips[1:, 1])]
    return tips, tangent, faces, slip


def _faces(steps, tangent, share):
    """Turn the faces of each disc by a share of the way from its own direction to those of the bodies beside it."""
    share = share * at(_WEDGE, np.arange(len(tangent)))[:, None]
    along = np.full_like(tangent, np.nan)  # of the bodies, by the disc above
    along[1:-1], along[-1] = steps / np.linalg.norm(steps, axis=1, keepdims=True), tangent[-1]
    above = np.concatenate([along[:2], along[1:-1]])
    faces = np.stack([tangent + share * (beside - tangent) for beside in (above, along)])
    return faces / np.linalg.norm(faces, axis=2, keepdims=True)
