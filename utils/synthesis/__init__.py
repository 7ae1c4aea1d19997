"""Synthetic spines: their anatomy, and the volumes and training images that a scanner would make of it."""
