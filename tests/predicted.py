"""A folder of predictions with a QC report, as predict.py writes it, of a scan in any orientation."""

import nibabel
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

import predict
from utils.inference.labeller import Prediction

LEVELS = np.array([21, 22, 23, 24])
ROWS = np.array([20.0, 50.0, 80.0, 110.0])


class FixedLabels:
    """Stands in for a trained network: L1-L2 to L4-L5 in fixed places of the middle slab."""

    resolution = 1.0
    checkpoint = {"model": {"name": "fixed"}, "epoch": 1, "digest": "0"}

    def __init__(self, source):
        self.source = source

    def label(self, slabs, offsets):
        """Return the same discs for every scan."""
        points = np.stack([ROWS, np.full(4, slabs.shape[2] / 2)], -1)
        certain, middle = np.full(4, 0.9), int(np.argmin(np.abs(offsets)))
        heatmaps = np.zeros((24, -(-slabs.shape[1] // 4), -(-slabs.shape[2] // 4)))
        return Prediction(
            LEVELS, points, np.full(4, offsets[middle]), certain, certain, certain, 5.0, heatmaps, None, middle
        )


def save_scan(path, codes="RAS", tilt=0.0, voxel=(3.0, 0.9, 0.8), shape=(12, 80, 180)):
    """Write a scan of random texture with its axes in the order of `codes`, tilted by an angle about two axes."""
    c, s = np.cos(tilt), np.sin(tilt)
    affine = np.eye(4)
    about_x = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    affine[:3, :3] = about_z @ about_x * voxel
    affine[:3, 3] = [12, -30, 55]
    data = np.random.default_rng(0).integers(1, 1000, shape).astype(np.int16)
    image = nibabel.Nifti1Image(data, affine)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image.as_reoriented(ornt_transform(io_orientation(affine), axcodes2ornt(codes))), path)


def predict_into(folder, scans, monkeypatch):
    """Label scans by `FixedLabels`; returns the exit status."""
    monkeypatch.setattr(predict, "load_labeller", lambda path, *_: FixedLabels(path))
    return predict.main([*map(str, scans), "--weights", "fixed", "--out", str(folder)])
