"""A trained network that labels scans: forward pass, candidates, search for the chain, confidence."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from utils.discs import SACRAL
from utils.inference.checkpoint import build_network, load_checkpoint
from utils.inference.confidence import Calibration
from utils.inference.heatmaps import candidates, to_heatmap
from utils.inference.lateral import lateral_positions
from utils.inference.level_confidence import LevelCalibration, agreement
from utils.inference.prior import prior_of
from utils.inference.second_pass import mask_to_spine
from utils.inference.skeleton import doubt_of, search, shift_margin, strongest
from utils.inference.test_time_augmentation import carry_back, views
from utils.inference.transitional import other_levels, other_numbering, vertebrae
from utils.inference.view import VIEWS
from utils.system.device import autocast, choose_device

MOST_PIXELS = 2**22  # in one pass, which is more than a whole spine has: memory is bounded for every scan


@dataclass
class Prediction:
    """The discs of one scan.

    Attributes
    ----------
    levels : (N,) int array, ascending
    points : (N, 2) float array
        Row and column in pixels of the slice.
    across : (N,) float array
        Left-right position in mm, on the scale of the slabs' offsets.
    confidence : (N,) float array in 0..1
        Chance that a disc is right, where the labeller was calibrated.
    evidence : (N,) float array in 0..1
        Heatmap value.
    share : (N,) float array in 0..1
        Share of all chains that take the disc.
    margin : float
        Score of the chain less that of the best chain shifted by one level; NaN without a disc.
    heatmaps : (K, h, w) float32 array in 0..1
        Of the last stack, at a quarter of the resolution: the highest value of all slabs, the mean of passes and views.
    attention : (h, w) float32 array in 0..1, or None
        Of the slab shown, at the first pass.
    slab : int
        The slab with the most evidence for the discs found, to show.
    level_confidence : float in 0..1
        Chance that the levels of the whole chain are right, which no disc's confidence exceeds; NaN without a disc, or
        where the labeller was not calibrated for it.
    agreement : float in 0..1
        Share of the discs that other views of the scan label alike; NaN like ``level_confidence``.
    vertebrae : int or None
        Number of vertebrae above the sacrum, 24 as a rule; None where C2-C3 or L5-S1 is not in view.
    other_levels : dict of int to int
        Levels of the whole chain, those of low confidence too, to those of another numbering that fits nearly as well;
        empty where none does.
    """

    levels: np.ndarray
    points: np.ndarray
    across: np.ndarray
    confidence: np.ndarray
    evidence: np.ndarray
    share: np.ndarray
    margin: float
    heatmaps: np.ndarray
    attention: np.ndarray | None
    slab: int
    level_confidence: float = float("nan")
    agreement: float = float("nan")
    vertebrae: int | None = None
    other_levels: dict = field(default_factory=dict)

    def kept(self, keep):
        """Return the prediction with some of its discs (N,) alone."""
        parts = ("levels", "points", "across", "confidence", "evidence", "share")
        margin = self.margin if np.any(keep) else float("nan")
        return replace(self, **{part: getattr(self, part)[keep] for part in parts}, margin=margin)


class Labeller:
    """A network with all that it takes to label the discs of a scan.

    Parameters
    ----------
    checkpoint : dict
        As `utils.inference.checkpoint.load_checkpoint` returns it.
    source : path-like
        Where it was read from, for messages and outputs.
    device : torch.device, optional
        A GPU where there is one, by default.
    network : torch.nn.Module, optional
        To be used as it is, on ``device``; by default it is rebuilt from the checkpoint.

    Attributes
    ----------
    levels, channels : tuple of int
        Levels that are reported, and those of the network's channels, of which S1-S2 may be one.
    resolution : float
        Of the slabs, in mm per pixel.
    passes : int
        1, or 2 where a second pass is masked to the spine.
    searching : bool
        Whether discs are found by the search for the chain; else by the maximum of each heatmap.
    """

    def __init__(self, checkpoint, source, device=None, network=None):
        self.checkpoint, self.source = checkpoint, Path(source)
        self.device = device or choose_device()
        self.channels = tuple(checkpoint["levels"])
        self.levels = tuple(level for level in self.channels if level != SACRAL)
        self.resolution = checkpoint["resolution"]
        self.prior = prior_of(checkpoint)
        stored = checkpoint.get("calibration")
        self.calibration = Calibration.from_dict(stored) if stored else Calibration()
        self.passes = checkpoint.get("passes", checkpoint.get("looks", 1))  # "looks" in older files
        stored = checkpoint.get("level_calibration")
        self.level_calibration = LevelCalibration.from_dict(stored) if stored else None
        self.view = VIEWS[checkpoint.get("view", "upright")]
        self.searching = True
        self.network = network
        if network is None:
            network = build_network(checkpoint).to(self.device, memory_format=torch.channels_last)
            self.network = network.eval()

    def label(self, slabs, offsets=(0.0,)):
        """Find and label the discs of a scan.

        Parameters
        ----------
        slabs : (S, H, W) array
            Sagittal slices side by side, normalised to 0..1, at the network's resolution.
        offsets : (S,) array
            Left-right position of each in mm.

        Returns
        -------
        Prediction
            Without the discs whose confidence is below the calibration's threshold, before the chance that the levels
            are right caps it.
        """
        heatmaps, attention = self.heatmaps(slabs)
        offsets, shape, passes = np.asarray(offsets, float), slabs.shape[1:], 1
        if self.passes == 2 and self.searching:
            first = self._labelled(heatmaps, offsets, shape)
            spine = first.points[np.isin(first.levels, self.levels)]
            if len(spine):
                heatmaps = (heatmaps + self.heatmaps(mask_to_spine(slabs, spine, self.resolution))[0]) / 2
                passes = 2
        prediction, others = self.discs(heatmaps, offsets, shape), []
        if self.level_calibration and self.searching and len(prediction.levels):
            slab = prediction.slab
            others = [carry_back(self.heatmaps(view[None])[0][0], view.shape, shape) for view in views(slabs[slab])]
            heatmaps[slab] = (passes * heatmaps[slab] + sum(others)) / (passes + len(others))
            prediction = self.discs(heatmaps, offsets, shape)
        if attention is not None:
            prediction.attention = attention[prediction.slab]
        return self._with_level_confidence(prediction, others, shape) if others else prediction

    def _with_level_confidence(self, prediction, others, shape):
        """Return a prediction whose confidence is capped by the chance that its levels are right.

        Parameters
        ----------
        prediction : Prediction
        others : list of (K, h, w) arrays
            Heatmaps of the views of its slab, on the slab's grid.
        shape : (H, W)
            Of the slab.
        """
        if not len(prediction.levels):
            return prediction
        found = [self._labelled(heatmaps[None], np.zeros(1), shape) for heatmaps in others]
        found = [(other.points, other.levels) for other in found]
        share = agreement(prediction.points, prediction.levels, found, self.resolution)
        chance = self.level_calibration.confidence(prediction.margin, share)
        if prediction.other_levels:  # one of two numberings is right
            chance = min(chance, 0.5)
        confidence = np.minimum(prediction.confidence, chance)
        return replace(prediction, agreement=share, level_confidence=chance, confidence=confidence)

    @torch.inference_mode()
    def heatmaps(self, slabs):
        """Return heatmaps (S, K, ceil(H/4), ceil(W/4)) in 0..1, and attention maps (S, h, w) or None, of slabs."""
        images, shape = self.view.image(slabs), slabs.shape[1:]
        values, attention = [], []
        for batch in torch.from_numpy(images)[:, None].split(max(1, MOST_PIXELS // images[0].size)):
            with autocast(self.device, self.checkpoint["args"].get("amp", True)):
                output = forward(self.network, batch.to(self.device))[-1].float()
            output = output.sigmoid() if self.checkpoint["output"] == "logits" else output.clamp(0, 1)
            values.append(self.view.back(output.cpu().numpy(), shape))
            if self.network.attention_map is not None:
                seen = self.network.attention_map[:, 0].float().cpu().numpy()
                attention.append(self.view.back(seen, shape))
        return np.concatenate(values), np.concatenate(attention) if attention else None

    def discs(self, heatmaps, offsets, shape):
        """Label the discs in heatmaps.

        Parameters
        ----------
        heatmaps : (S, K, h, w) array in 0..1
            Of S slabs, at a quarter of their resolution, by channel.
        offsets : (S,) array
            Left-right position of each slab in mm.
        shape : (H, W)
            Of the slabs.

        Returns
        -------
        Prediction
            Without attention and level confidence.
        """
        found = self._labelled(heatmaps, offsets, shape)
        kept = found.confidence >= self.calibration.threshold if self.searching else np.ones(len(found.levels), bool)
        return found.kept(kept & np.isin(found.levels, self.levels))

    def _labelled(self, heatmaps, offsets, shape):
        """Label all discs, those of low confidence and the remnant disc S1-S2, too."""
        heatmaps = np.nan_to_num(heatmaps, nan=0.0, posinf=0.0, neginf=0.0)
        highest = heatmaps.max(0)
        found = candidates(highest)
        extent = np.asarray(shape) * self.resolution
        in_mm = [
            (points * self.resolution, evidence, doubt_of(around(highest[None], points)[:, 0]))
            for points, evidence in found
        ]
        chain = search(in_mm, self.channels, self.prior, extent) if self.searching else strongest(in_mm, self.channels)
        channels = [self.channels.index(level) for level in chain.picks]
        taken = list(zip(channels, chain.picks.values(), strict=True))
        points = np.reshape([found[channel][0][pick] for channel, pick in taken], (-1, 2))
        evidence = np.array([found[channel][1][pick] for channel, pick in taken])
        share = np.array(list(chain.share.values()))
        near = around(heatmaps, points)  # (N, S, K)
        by_level = dict(zip(self.channels, np.moveaxis(near.max(1), 1, 0), strict=True)) if len(points) else {}
        levels = np.array(list(chain.picks), int)
        margin = shift_margin(points * self.resolution, levels, by_level, chain.score, self.prior, extent)
        by_slab = near[np.arange(len(points)), :, channels]
        confidence = self.calibration.confidence(evidence, share, np.full(len(points), margin))
        if not self.searching:  # the calibration is of chains
            confidence = evidence
        prediction = Prediction(
            levels, points, lateral_positions(by_slab, offsets, points[:, 0] * self.resolution), confidence, evidence,
            share, margin, highest[: len(self.levels)], None,
            int(by_slab.sum(0).argmax()) if len(points) else len(offsets) // 2,
        )  # fmt: skip
        prediction.vertebrae = vertebrae(points * self.resolution, levels, self.prior, extent)
        prediction.other_levels = other_levels(levels, other_numbering(by_level, levels), prediction.vertebrae)
        return prediction


def around(heatmaps, points):
    """Return the highest heatmap values (N, S, K) in the 3 x 3 cells about points (N, 2) in pixels."""
    last = np.array(heatmaps.shape[2:]) - 1
    values = np.zeros((len(points), *heatmaps.shape[:2]), np.float32)
    for index, (row, column) in enumerate(np.clip(np.round(to_heatmap(points)), 0, last).astype(int)):
        values[index] = heatmaps[:, :, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].max((2, 3))
    return values


def forward(network, images):
    """Call a network on grey images (B, 1, H, W), which are repeated for one that takes more channels."""
    channels = getattr(network, "module", network).in_channels  # within the wrapper for several processes
    images = images.expand(-1, channels, -1, -1)
    return network(images.contiguous(memory_format=torch.channels_last))


def load_labeller(path, device=None, first_level=None):
    """Load a labeller from a run's folder or a checkpoint file; see `load_checkpoint`.

    Raises
    ------
    UserError
        If there are no weights, or they cannot be read.
    """
    return Labeller(load_checkpoint(path, first_level), path, device)
