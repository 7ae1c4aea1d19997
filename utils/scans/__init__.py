"""Scans on disk: finding them in BIDS trees, reading NIfTI safely, sagittal slices, label volumes and samples."""
