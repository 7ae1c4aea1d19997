"""Where discs lie left-right: from the evidence in sagittal slabs side by side to a smooth curve."""

import numpy as np

STIFFNESS = 2.0  # weight of the curve's bends; a scoliosis bends over many discs, noise over one
LEAST_GAP_MM = 1.0  # nearer ones, which no search would take, are held to be so far apart


def lateral_positions(evidence, offsets, rows):
    """Find the left-right position of each disc of a chain.

    Each disc's own position is the mean of the slabs, weighted by the eighth power of their evidence; the curve
    through the chain is the one with the least sum of squares to these and of its bends (Whittaker 1923).

    Parameters
    ----------
    evidence : (N, S) array in 0..1
        Of each disc in each slab.
    offsets : (S,) array
        Left-right position of each slab in mm.
    rows : (N,) array
        Position of the discs along the spine in mm; those that no search put in order may be in any.

    Returns
    -------
    (N,) array in mm
    """
    order = np.argsort(rows, kind="stable")
    evidence, rows = np.asarray(evidence, float)[order], np.asarray(rows, float)[order]
    weight = evidence**8 + 1e-9
    own = weight @ offsets / weight.sum(1)
    count = len(own)
    if count < 3:
        return np.full(count, np.average(own, weights=evidence.max(1) + 1e-9)) if count else own
    trust = evidence.max(1) + 1e-6
    # Second divided differences, for a typical gap of 25 mm: zero on any straight line.
    gaps = np.maximum(np.diff(rows), LEAST_GAP_MM) / 25.0
    bends = np.zeros((count - 2, count))
    for i, (above, below) in enumerate(zip(gaps[:-1], gaps[1:], strict=True)):
        bends[i, i : i + 3] = np.array([1 / above, -1 / above - 1 / below, 1 / below]) * 2 / (above + below)
    positions = np.empty(count)
    positions[order] = np.linalg.solve(np.diag(trust) + STIFFNESS * bends.T @ bends, trust * own)
    return positions
