"""From a checkpoint and a slice to labelled discs: network, heatmaps, search for the chain, confidence."""
