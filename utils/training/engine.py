"""One epoch of training, the validation after it, and the calibration at the end."""

import itertools

import numpy as np
import torch
from torch.utils.data import ConcatDataset

from utils.evaluation.cases import Case, compare
from utils.evaluation.metrics import identified_and_distance
from utils.inference.confidence import Calibration, fit
from utils.inference.labeller import forward
from utils.inference.level_confidence import LevelCalibration, fit_levels
from utils.system import ranks
from utils.system.device import autocast
from utils.training.slices import transform_slabs

CALIBRATION_VIEWS = 80  # with the random fields of view and contrasts of training


class NotFinite(Exception):
    """The loss is not finite; no step was taken."""


def train_epoch(network, batches, losses, loss_of, optimizer, scheduler, device, amp, bar, stop):
    """Train for the rest of an epoch.

    Parameters
    ----------
    network : torch.nn.Module
        Of this process, or what `utils.system.ranks.share` made of it.
    batches : iterable
        Those of the epoch that are not done yet, as of `utils.training.sources`.
    losses : list of float
        Of the steps done, over all processes; grows.
    loss_of : callable
        Of `utils.training.loss`.
    optimizer, scheduler : as in torch.optim
        The schedule advances with every step.
    device : torch.device
    amp : bool
        Compute in bfloat16 where the hardware has it.
    bar : tqdm
        Moves by a batch's slices, and shows the loss.
    stop : utils.system.signals.Stop, or bool
        Read in each step; the epoch is left after it when it is true.

    Returns
    -------
    bool
        Whether the epoch is done.

    Raises
    ------
    NotFinite
        Before the step that the loss would have led to.
    """
    network.train()
    for images, target, weight, _ in batches:
        images, target, weight = (tensor.to(device, non_blocking=True) for tensor in (images, target, weight))
        with autocast(device, amp):
            outputs = forward(network, images)
        loss = loss_of(outputs, target, weight, ranks.mean)
        # In one call, since each transfer waits for the device; a process that should stop stops all of them.
        value, stopped = ranks.mean(torch.stack([loss.detach(), loss.new_tensor(bool(stop))])).tolist()
        if not np.isfinite(value):
            raise NotFinite
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(value)
        bar.update(len(images) * ranks.count())
        bar.set_postfix_str(f"loss {value:.4f}{bar.validation}", refresh=False)
        if stopped:
            return False
    return True


@torch.inference_mode()
def validation_loss(network, loader, loss_of, device, amp):
    """Return the mean loss over the validation split, whose slices are cut to the training's size."""
    network.eval()
    total, count = 0.0, 0
    for images, target, weight, _ in itertools.islice(loader, ranks.rank(), None, ranks.count()):
        with autocast(device, amp):
            outputs = forward(network, images.to(device))
        total += loss_of(outputs, target.to(device), weight.to(device)).item() * len(images)
        count += len(images)
    totals, counts = zip(*ranks.gather((total, count)), strict=True)
    return sum(totals) / sum(counts)


def validate(labeller, val_sets, shown):
    """Label the slice through the labels of each validation scan.

    Whole volumes would take as long as the training itself; they are labelled once, for the calibration at the end.

    Parameters
    ----------
    labeller : Labeller
    val_sets : dict of str to sequence of Sample
        As of `utils.training.sources`.
    shown : int

    Returns
    -------
    scores : dict of str to (identified, distance)
        By validation set: the share of the true discs with a prediction of their own level within 10 mm, and the mean
        distance of those in mm; NaN if there is none.
    maps : list of (h, w) uint8 tensors
        Highest value of all heatmaps, of the first ``shown`` scans.
    """
    samples = ConcatDataset(val_sets.values())
    labeller.network.eval()
    own = []
    for index in ranks.deal(range(len(samples))):
        sample = samples[index].in_plane()
        found = labeller.label(sample.image[None])
        truth, prediction = ((each.points * sample.spacing, each.levels) for each in (sample, found))
        heat = (255 * found.heatmaps.max(0)).astype(np.uint8) if index < shown else None
        own.append((truth, prediction, heat))
    truths, predictions, heats = zip(*ranks.undeal(ranks.gather(own)), strict=True)
    scores, first = {}, 0
    for name, own in val_sets.items():
        part = slice(first, first + len(own))
        scores[name], first = identified_and_distance(truths[part], predictions[part]), part.stop
    return scores, [torch.from_numpy(heat) for heat in heats[:shown]]


def calibrate(labeller, samples, views=None):
    """Fit the confidences on a validation split: on its scans as they are, and on augmented views of them.

    Parameters
    ----------
    labeller : Labeller
        Its own calibrations are replaced.
    samples : sequence of Sample
    views : int, optional
        Augmented views; `CALIBRATION_VIEWS` by default.

    Returns
    -------
    dict
        ``calibration`` and ``level_calibration`` of a checkpoint.
    """
    labeller.network.eval()
    labeller.calibration, labeller.level_calibration = Calibration(), LevelCalibration()
    views = CALIBRATION_VIEWS if views is None else views
    augmented = (  # spread over all of them, whose data sets come one after the other
        transform_slabs(np.random.default_rng([0, 3, view]), samples[view * len(samples) // views])
        for view in range(views)
    )
    found, chains, n_true = [], [], 0
    for sample in itertools.chain(samples, augmented):
        prediction, right = labeller.label(sample.slabs, sample.offsets), []
        for row in compare(Case.of(sample, prediction), labeller.levels):
            n_true += row.true is not None
            if row.found is not None and row.outcome != "unknown":
                index = list(prediction.levels).index(row.level)
                evidence = prediction.evidence[index], prediction.share[index], prediction.margin
                right.append(row.outcome == "identified")
                found.append((*evidence, right[-1]))
        if right:
            chains.append((prediction.margin, prediction.agreement, np.mean(right) > 0.5))
    labeller.calibration = fit(*np.reshape(found, (-1, 4)).T, n_true)
    labeller.level_calibration = fit_levels(*np.reshape(chains, (-1, 3)).T)
    return {
        "calibration": labeller.calibration.to_dict(),
        "level_calibration": labeller.level_calibration.to_dict(),
    }


def mean_score(scores):
    """Return (identified, distance) of an epoch: the mean over the validation sets, each with the same weight.

    A set that has no disc, or of the distances one in which none was identified, is left out of it.
    """
    known = [[value for value in values if np.isfinite(value)] for values in zip(*scores.values(), strict=True)]
    return tuple(float(np.mean(values)) if values else float("nan") for values in known)


def better(score, best):
    """Decide whether (identified, distance) beats the best so far: a higher share, then a lower distance.

    Where no validation set has a disc, or none was identified so far, the last epoch is the best.
    """
    if best is None or np.isnan([score[0], best[0]]).any() or score[0] == best[0] == 0:
        return True
    return score[0] > best[0] or (score[0] == best[0] and score[1] < best[1])
