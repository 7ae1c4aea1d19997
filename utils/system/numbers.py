"""Numbers as a reader sees them."""

import math


def number(value, digits=2):
    """Format a number; one that is not defined (NaN, infinite) becomes a dash."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
