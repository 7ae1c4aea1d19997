"""What age and disease change in the discs and bodies of a synthetic spine, chosen before it is drawn."""

from dataclasses import dataclass

import numpy as np

WEAR_SHARES, WEAR_ODDS = (0.05, 0.25, 0.6, 0.95), (0.4, 0.3, 0.2, 0.1)  # of worn discs, from young to old subjects
_WEAR = ([1, 4, 7, 9, 18, 24], [0.2, 1.2, 1.3, 0.4, 0.6, 1.4])  # how much more often a disc is worn, by level
COLLAPSE_SHARE = 0.2  # of the subjects with a disc L5-S1 that is nearly gone, in some of them one above it too
FUSED_SHARE = 0.08  # of the subjects with a block vertebra, in the cervical spine as a rule
FRACTURE_SHARE = 0.12  # of the subjects with fractured bodies, mostly T7 to L4
TUMOUR_SHARE = 0.05  # of the subjects with bodies replaced by a tumour
SLIP_SHARE = 0.12  # of the subjects with a spondylolisthesis, most often of L4 or L5 (Kalichman et al. 2009)


@dataclass
class Degeneration:
    """The state of each disc, and of the body below it, by index (N,).

    Attributes
    ----------
    worn : bool array
        Discs that have lost their water.
    lost : array in 0..1
        Share of a disc's height that is lost.
    vacuum : bool array
        Discs with gas in them.
    fused : bool array
        Discs that are bone: the bodies beside them are one block.
    bulge, spur : arrays
        How far disc and bony spurs stand out at the back and in front, in mm.
    wedge : array in 0..1
        Share of its front height that the body below has lost.
    crushed : array in 0..1
        Share of its height that the body below has lost.
    tumour : bool array
        Bodies that a tumour has replaced.
    slip : array
        Share of the end plate below by which all that is above a disc lies too far in front: 0.25, 0.5 and
        0.75 end the grades I to III (Meyerding 1932).
    dome : float
        How far the end plate of S1 is rounded upward, in mm.
    """

    worn: np.ndarray
    lost: np.ndarray
    vacuum: np.ndarray
    fused: np.ndarray
    bulge: np.ndarray
    spur: np.ndarray
    wedge: np.ndarray
    crushed: np.ndarray
    tumour: np.ndarray
    slip: np.ndarray
    dome: float


def choose_degeneration(rng, place, lowest):
    """Choose what is degenerate in a subject.

    Parameters
    ----------
    rng : numpy.random.Generator
    place : (N,) array
        Where each index stands in tables by level.
    lowest : int
        Index of the lowest mobile disc.

    Returns
    -------
    Degeneration
    """
    count = len(place)
    mobile = (np.arange(count) > 2) & (np.arange(count) <= lowest)
    wear = rng.choice(WEAR_SHARES, p=WEAR_ODDS)
    worn = (rng.random(count) < wear * np.interp(place, *_WEAR)) & mobile
    lost = np.where(worn, rng.uniform(0.15, 0.65, count), 0.0)
    if rng.random() < COLLAPSE_SHARE:
        for index in {lowest, lowest - rng.integers(0, 3)}:
            worn[index], lost[index] = True, rng.uniform(0.6, 0.9)
    vacuum = worn & (lost > 0.4) & (rng.random(count) < 0.3)
    fused = np.zeros(count, bool)
    if rng.random() < FUSED_SHARE:
        first = rng.integers(3, 8) if rng.random() < 0.7 else rng.integers(9, lowest - 1)
        fused[first : first + rng.choice([1, 2], p=[0.75, 0.25])] = True
        worn[fused], lost[fused], vacuum[fused] = True, 0.75, False
    old = worn * (0.4 + lost)
    bulge = np.where(worn & ~fused, rng.uniform(0.5, 3.0, count), 0.0)
    spur = np.where(rng.random(count) < 0.7, old * rng.uniform(0, 8, count) * np.interp(place, [3, 20], [0.7, 1]), 0)
    wedge, crushed = np.zeros(count), np.zeros(count)
    if rng.random() < FRACTURE_SHARE:
        for index in np.clip(np.round(rng.normal(19.5, 3, rng.integers(1, 4))), 10, lowest - 1).astype(int):
            wedge[index], crushed[index] = rng.uniform(0.15, 0.5), rng.choice([0, rng.uniform(0.1, 0.4)])
    tumour = np.zeros(count, bool)
    if rng.random() < TUMOUR_SHARE:
        tumour[rng.integers(3, lowest + 1, rng.integers(1, 5))] = True
    slip = np.zeros(count)
    if rng.random() < SLIP_SHARE:  # a vertebra, and all above it, forward on the next one
        index = lowest - rng.choice([0, 1, 2, 3], p=[0.45, 0.35, 0.15, 0.05])
        # High grades are those of L5, with a defect of its arch.
        slip[index] = rng.uniform(0.08, 0.4) if index < lowest or rng.random() < 0.6 else rng.uniform(0.25, 0.7)
        worn[index], lost[index] = True, max(lost[index], rng.uniform(0.2, 0.8))
    dome = rng.uniform(1, 6) if slip[lowest] > 0.25 or rng.random() < 0.06 else 0.0
    return Degeneration(worn, lost, vacuum, fused, bulge, spur, wedge, crushed, tumour, slip, dome)
