"""A trained network that labels slices: forward pass, candidates, search for the chain."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from utils.checkpoint import build_network, load_checkpoint
from utils.device import autocast, choose_device
from utils.heatmaps import candidates
from utils.skeleton import Prior, learn_prior, search

MULTIPLE = 64  # a slice is padded to a multiple of this: four levels of pooling at a quarter of the resolution


@dataclass
class Prediction:
    """The discs of one slice.

    Attributes
    ----------
    levels : (N,) int array, ascending
    points : (N, 2) float array
        Row and column in pixels of the slice.
    confidence : (N,) float array in 0..1
    heatmaps : (K, h, w) float32 array in 0..1
        Of the last stack, at a quarter of the resolution.
    attention : (h, w) float32 array in 0..1, or None
    """

    levels: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    heatmaps: np.ndarray
    attention: np.ndarray | None


class Labeller:
    """A network with all that it takes to name the discs of a slice."""

    def __init__(self, checkpoint, source, device=None, network=None):
        self.checkpoint, self.source = checkpoint, Path(source)
        self.device = device or choose_device()
        self.levels = tuple(checkpoint["levels"])
        self.resolution = checkpoint["resolution"]
        self.prior = Prior.from_dict(checkpoint["prior"]) if checkpoint["prior"] else learn_prior([])
        self.network = network
        if network is None:
            network = build_network(checkpoint).to(self.device, memory_format=torch.channels_last)
            self.network = network.eval()

    def label(self, images):
        """Find and name the discs of slices.

        Parameters
        ----------
        images : list of (H, W) float32 arrays
            Normalised to 0..1, at the network's resolution.

        Returns
        -------
        list of Prediction
        """
        predictions = []
        for image in images:
            heatmaps, attention = self.heatmaps(image)
            levels, points, confidence = self.discs(heatmaps, image.shape)
            predictions.append(Prediction(levels, points, confidence, heatmaps, attention))
        return predictions

    @torch.inference_mode()
    def heatmaps(self, image):
        """Return heatmaps (K, ceil(H/4), ceil(W/4)) in 0..1 and the attention map, or None, of a slice."""
        height, width = image.shape
        padded = np.zeros([-(-size // MULTIPLE) * MULTIPLE for size in image.shape], np.float32)
        padded[:height, :width] = image
        batch = torch.from_numpy(padded)[None, None].to(self.device)
        with autocast(self.device, self.checkpoint["args"].get("amp", True)):
            output = forward(self.network, batch)[-1].float()
        values = output.sigmoid() if self.checkpoint["output"] == "logits" else output.clamp(0, 1)
        rows, columns = -(-height // 4), -(-width // 4)
        attention = self.network.attention_map
        if attention is not None:
            attention = attention[0, 0, :rows, :columns].float().cpu().numpy()
        return values[0, :, :rows, :columns].cpu().numpy(), attention

    def discs(self, heatmaps, shape):
        """Name the discs in heatmaps; returns levels (N,), points (N, 2) in pixels and confidence (N,)."""
        found = candidates(heatmaps)
        in_mm = [(points * self.resolution, evidence) for points, evidence in found]
        chain, _ = search(in_mm, self.levels, self.prior, np.asarray(shape) * self.resolution)
        channels = [self.levels.index(level) for level in chain]
        taken = list(zip(channels, chain.values(), strict=True))
        points = np.reshape([found[channel][0][index] for channel, index in taken], (-1, 2))
        confidence = np.array([found[channel][1][index] for channel, index in taken])
        return np.array(list(chain), int), points, confidence


def forward(network, images):
    """Call a network on grey images (B, 1, H, W), which are repeated for one that takes more channels."""
    images = images.expand(-1, network.in_channels, -1, -1)
    return network(images.contiguous(memory_format=torch.channels_last))


def load_labeller(path, device=None):
    """Load a labeller from a run's folder or a checkpoint file, our own or a released one.

    Raises
    ------
    UserError
        If there are no weights, or they cannot be read.
    """
    return Labeller(load_checkpoint(path), path, device)
