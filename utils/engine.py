"""One epoch of training, one look at the validation split, and the calibration on it at the end."""

import numpy as np
import torch

from utils.confidence import Calibration, fit
from utils.device import autocast
from utils.files import UserError
from utils.labeller import forward
from utils.metrics import Case, compare, identified_and_distance
from utils.training import transform_slabs

CALIBRATION_VIEWS = 80  # with the fields of view and contrasts that training draws


def train_epoch(network, loader, loss_of, optimizer, scheduler, device, amp, bar):
    """Train for one epoch.

    Parameters
    ----------
    network : torch.nn.Module
    loader : iterable of batches from `utils.training.TrainingSlices`
    loss_of : callable
        Of `utils.loss`.
    optimizer, scheduler : as in torch.optim
        The schedule goes on with every step.
    device : torch.device
    amp : bool
        Compute in bfloat16 where the hardware has it.
    bar : tqdm
        Moves by a batch's slices, and shows the loss.

    Returns
    -------
    float
        Mean loss a step.

    Raises
    ------
    UserError
        If the loss is not a number any more.
    """
    network.train()
    losses = []
    for images, target, weight, _ in loader:
        images, target, weight = (tensor.to(device, non_blocking=True) for tensor in (images, target, weight))
        with autocast(device, amp):
            outputs = forward(network, images)
        loss = loss_of(outputs, target, weight)
        if not torch.isfinite(loss):
            raise UserError("the loss is not a number any more: train again with a lower --lr")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        bar.update(len(images))
        bar.set_postfix_str(f"loss {losses[-1]:.4f}{bar.validation}", refresh=False)
    return float(np.mean(losses))


@torch.inference_mode()
def validation_loss(network, loader, loss_of, device, amp):
    """Return the mean loss over the validation split, whose slices are cut to the training's size."""
    network.eval()
    losses, count = 0.0, 0
    for images, target, weight, _ in loader:
        with autocast(device, amp):
            outputs = forward(network, images.to(device))
        losses += loss_of(outputs, target.to(device), weight.to(device)).item() * len(images)
        count += len(images)
    return losses / count


def validate(labeller, samples):
    """Label whole validation scans, as evaluation does.

    Returns
    -------
    identified : float
        Share of the true discs with a prediction of their own level within 10 mm.
    distance : float
        Mean distance of those in mm; NaN if there is none.
    predictions : list of Prediction
    """
    labeller.network.eval()
    predictions = [labeller.label(sample.slabs, sample.offsets) for sample in samples]
    scores = identified_and_distance(
        [(s.points * s.spacing, s.levels) for s in samples],
        [(p.points * s.spacing, p.levels) for s, p in zip(samples, predictions, strict=True)],
    )
    return *scores, predictions


def calibrate(labeller, samples, seed=0):
    """Fit the confidence on a validation split: on its scans as they are, and on augmented views of them.

    Parameters
    ----------
    labeller : Labeller
        Its own calibration is replaced.
    samples : list of Sample
    seed : int

    Returns
    -------
    Calibration
    """
    labeller.network.eval()
    labeller.calibration = Calibration()
    shown = list(samples)
    for view in range(CALIBRATION_VIEWS):
        shown.append(transform_slabs(np.random.default_rng([seed, 3, view]), samples[view % len(samples)]))
    found, n_true = [], 0
    for sample in shown:
        prediction = labeller.label(sample.slabs, sample.offsets)
        for row in compare(Case.of(sample, prediction), labeller.levels):
            n_true += row.true is not None
            if row.found is not None and row.outcome != "unknown":
                index = list(prediction.levels).index(row.level)
                sure = prediction.evidence[index], prediction.share[index], prediction.margin
                found.append((*sure, row.outcome == "identified"))
    labeller.calibration = fit(*np.reshape(found, (-1, 4)).T, n_true)
    return labeller.calibration


def better(score, best):
    """Tell whether (identified, distance) beats the best so far: a higher share, then a lower distance."""
    return best is None or score[0] > best[0] or (score[0] == best[0] and score[1] < best[1])
