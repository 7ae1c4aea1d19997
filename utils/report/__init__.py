"""What a reader sees: figures, charts, and the quality-control (QC) report."""

import os

# Figures are files: no window system is needed, nor the backend that a notebook names for its own processes.
os.environ["MPLBACKEND"] = "Agg"
