"""Training: where the slices come from, augmentation, losses, recipes, one epoch, and the folder of a run."""
