"""The curves of a synthetic spine: where its discs lie, and in which directions their faces point.

Angles follow Vialle et al. 2005 (of the standing spine, lessened for the supine position).
"""

from dataclasses import dataclass

import numpy as np

from utils.discs import FIRST, LAST, TYPICAL_GAP_MM
from utils.synthesis.canvas import HEAD_MM, WIDTH_MM
from utils.synthesis.degeneration import Degeneration, choose_degeneration

# Angle in degrees of the way from a disc to the next one, backward positive, by level; sacrum from 25 on.
_CERVICAL = ([1, 2, 4, 7, 9], [0, -6, -4, 16, 4])
_THORACIC = ([6, 8, 10, 13, 17, 20], [0, 10, 20, 6, -9, -4])
_LUMBAR = ([17, 19, 21, 22, 23, 24, 25], [0, -10, -14, -11, -4, 0, 0])
_SACRAL = ([22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32], [0, 3, 17, 45, 52, 45, 25, 4, -14, -30, -40])
_JUNCTION = ([21, 22, 23, 24, 25, 27], [0, 0.15, 0.5, 1, 0.8, 0])  # how steep L5 and S1 lie differs most
STRAIGHT_SHARE = 0.1  # of the spines that have next to no curves, as a straightened template
STEEP_SHARE = 0.25  # of the spines with a steep sacrum
# Share of a bend of the spine that lies in the disc, by level; the rest lies in the bodies. Lordoses are made by wedges
# of disc, most of all at L5-S1, the thoracic kyphosis by wedges of bone (Vialle et al. 2005; Been et al. 2010).
_WEDGE = ([1, 3, 7, 9, 10, 17, 19, 21, 24, 25, 26], [0, 0.6, 0.6, 0.3, 0.1, 0.1, 0.4, 0.65, 0.7, 0.65, 0])
_SACRAL_GAP = (23.0, 19.0, 17.0, 15.0, 9.0, 8.0, 7.0)  # S2 to S5 and three of the coccyx
# By level of the disc, in mm, at some levels with straight lines between: its height, and its depth front to back.
_DISC_HEIGHT = ([2, 3, 7, 9, 13, 17, 20, 22, 24, 25], [2, 5.0, 5.5, 4.3, 4.5, 5.5, 7.5, 9.5, 11, 10])
_SACRAL_HEIGHT = (3.0, 1.6, 1.4, 1.2, 1.5, 1.2, 1.2, 1.2)
_DEPTH = ([2, 3, 7, 9, 14, 19, 21, 25, 26], [13, 15.5, 17, 18, 25, 30, 34, 34, 32])
_SACRAL_DEPTH = (24, 18, 14, 11, 9, 7, 6, 5)
LARGE_REMNANT_SHARE = (
    0.25  # of the subjects whose S1-S2 has the shape of a disc (O'Driscoll et al. 1996, types 3 and 4)
)


@dataclass
class Spine:
    """Where the discs of a spine lie, by index: that of a disc counted down from C2-C3 = 3, N in all.

    Attributes
    ----------
    size : float
        Of the subject, 1 for a typical one.
    lowest : int
        Index of the lowest mobile disc, above the sacrum: 25 as a rule.
    place : (N,) array
        Where each index stands in tables by level: equal to the index with five lumbar vertebrae.
    tips : (N, 2) array
        Posterior tips in mm, (row, col), of the discs, and of the joints of sacrum and coccyx below.
    tangent : (N, 2) array
        Unit vectors down through each of them.
    upper, lower : (N, 2) arrays
        The same, at right angles to the upper and to the lower face of each.
    height, depth : (N,) arrays
        Of each disc, in mm.
    slip : (N,) array
        By how many mm what is above a disc lies in front of what is below it.
    remnant : float
        Height of the remnant disc S1-S2, relative to a whole disc.
    state : utils.synthesis.degeneration.Degeneration
    """

    size: float
    lowest: int
    place: np.ndarray
    tips: np.ndarray
    tangent: np.ndarray
    upper: np.ndarray
    lower: np.ndarray
    height: np.ndarray
    depth: np.ndarray
    slip: np.ndarray
    remnant: float
    state: Degeneration


def at(table, level):
    """Read a table of (levels, values) at a level, with straight lines between."""
    return np.interp(level, *table)


def front_of(direction):
    """Return the unit vector to the front, at right angles to a direction that runs down."""
    return np.array([direction[1], -direction[0]])


def table_places(lumbar):
    """Return where each index stands in tables by level (N,), with a number of lumbar vertebrae."""
    index = np.arange(20 + lumbar + len(_SACRAL_HEIGHT) + 1)
    last = index[-1]
    return np.interp(index, [0, 20, 20 + lumbar, last], [0, 20, LAST, last + 5 - lumbar])


def draw_spine(rng, lumbar=5, remnant=None):
    """Choose where the discs of a random spine lie, and in which state they are.

    Parameters
    ----------
    rng : numpy.random.Generator
    lumbar : int
        Number of lumbar vertebrae: 4, 5 or 6.
    remnant : float, optional
        Height of the remnant disc S1-S2, relative to a whole disc: random by default, 1 for an S1 that is as free as
        a lumbar vertebra.

    Returns
    -------
    Spine
    """
    size = np.clip(rng.normal(1.0, 0.07), 0.82, 1.18)
    place, lowest = table_places(lumbar), 20 + lumbar
    state = choose_degeneration(rng, place, lowest)
    if remnant is None:
        large = rng.random() < LARGE_REMNANT_SHARE
        remnant = rng.uniform(0.4, 0.95) if large else rng.uniform(0.1, 0.45)
    sacrum = slice(lowest + 1, None)
    whole = size * at(_DISC_HEIGHT, place)
    whole[sacrum] = size * np.array(_SACRAL_HEIGHT)
    whole[lowest + 1] = size * 10 * remnant
    depth = size * at(_DEPTH, place) * rng.uniform(0.93, 1.07)
    depth[sacrum] = size * np.array(_SACRAL_DEPTH)
    depth[lowest + 1] *= 1 + 0.35 * max(remnant - 0.35, 0)
    height = whole * (1 - state.lost) * rng.uniform(0.85, 1.15, len(place))
    gaps = np.interp(place[FIRST:lowest], np.arange(FIRST, LAST), [TYPICAL_GAP_MM[k] for k in range(FIRST, LAST)])
    gaps = np.concatenate([gaps, [TYPICAL_GAP_MM[LAST]], _SACRAL_GAP]) * (1 + rng.normal(0, 0.035, len(place) - 2))
    gaps = size * gaps * (1 - state.crushed[FIRST:-1])
    gaps -= 0.5 * (whole * state.lost)[FIRST:-1] + 0.5 * (whole * state.lost)[FIRST + 1 :]
    gaps[lowest - 1 - FIRST] *= rng.uniform(0.82, 0.98)  # L5 is a wedge, lower behind
    tips, steps = _walk(gaps, _angles(rng, place, lowest, remnant, state))
    tangent = np.full_like(tips, np.nan)
    tangent[1:-1] = steps
    tangent[2:-1] += steps[:-1]
    tangent[-1] = steps[-1]
    tangent[lowest] += 0.6 * steps[lowest - 1]  # the disc L5-S1 lies on the sacrum, and L5 is what is tilted against it
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    upper, lower = _faces(steps, tangent, rng.uniform(0.6, 1.25), place)
    slip = state.slip * depth
    for index in np.flatnonzero(slip):
        ahead = slip[index] * front_of(tangent[index])
        tips[1:index] += ahead
        tips[index] += 0.5 * ahead
    tips[1:] += [HEAD_MM - tips[1, 0], 0.62 * WIDTH_MM - np.nanmean(tips[1:, 1])]
    return Spine(size, lowest, place, tips, tangent, upper, lower, height, depth, slip, remnant, state)


def _angles(rng, place, lowest, remnant, state):
    """Return the angles (N - 2,) in radians, backward positive, of the ways from each disc to the next."""
    bend = {
        "c": rng.choice([rng.uniform(-0.2, 2.0), rng.uniform(-1.6, 0.2)], p=[0.7, 0.3]),  # from lordosis to kyphosis
        "t": rng.uniform(0.5, 1.5),
        "l": rng.uniform(0.4, 1.5),
        "s": rng.uniform(0.45, 1.3),
        # More steep and more level ones than there are, so that L5 is known by more than how it lies.
        "j": rng.choice([rng.normal(0, 10), rng.uniform(-24, 30)]),
    }
    if rng.random() < STRAIGHT_SHARE:
        bend |= {key: rng.uniform(0, 0.25) * bend[key] for key in "ctl"}
    elif rng.random() < STEEP_SHARE:
        bend |= {"l": rng.uniform(1.0, 1.9), "s": rng.uniform(1.05, 1.4), "j": rng.uniform(0, 18)}
    ways = place[FIRST:-1]
    angles = sum(
        bend[key] * at(table, ways)
        for key, table in (("c", _CERVICAL), ("t", _THORACIC), ("l", _LUMBAR), ("s", _SACRAL), ("j", _JUNCTION))
    )
    # An S1 that is nearly free continues in the direction of L5.
    free = np.clip(remnant - 0.35, 0, 0.65)
    angles[lowest - FIRST] -= free * (angles[lowest - FIRST] - angles[lowest - 1 - FIRST])
    # Above a wedge the spine leans forward.
    angles += np.cumsum((12 * state.wedge[FIRST:-1])[::-1])[::-1]
    return np.deg2rad(angles + rng.normal(0, 3) + rng.normal(0, 1.2, len(ways)))


def _walk(gaps, angles):
    """Return places (N, 2) one gap after another, NaN at index 0, and the steps (N - 2, 2) between them."""
    steps = gaps[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    return np.concatenate([np.full((1, 2), np.nan), np.zeros((1, 2)), np.cumsum(steps, 0)]), steps


def _faces(steps, tangent, share, place):
    """Rotate the faces of each disc by a share of the way from its own direction to those of the bodies beside it."""
    share = share * at(_WEDGE, place)[:, None]
    along = np.full_like(tangent, np.nan)  # of the bodies, by the disc above
    along[1:-1], along[-1] = steps / np.linalg.norm(steps, axis=1, keepdims=True), tangent[-1]
    above = np.concatenate([along[:2], along[1:-1]])
    faces = np.stack([tangent + share * (beside - tangent) for beside in (above, along)])
    return faces / np.linalg.norm(faces, axis=2, keepdims=True)
