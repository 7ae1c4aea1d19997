"""What a training prints of an epoch where there is no terminal."""

import math

from train import epoch_line


def test_an_epoch_is_one_line_and_an_undefined_distance_a_dash():
    entry = {
        "epoch": 3, "loss": 0.12351, "val_loss": 0.2, "identified": 0.876, "dtt_mean": 1.26, "images_per_s": 40.26,
    }  # fmt: skip
    assert epoch_line(entry, 10, 20.0) == (
        "epoch 3/10: loss 0.1235, validation loss 0.2000, 88 % identified, error 1.3 mm, 40.3 images/s, 02:20 left"
    )
    undefined = {"val_loss": math.nan, "identified": math.nan, "dtt_mean": math.nan}
    line = epoch_line({**entry, **undefined}, 10, 20.0)
    assert "validation loss -, - % identified, error - mm" in line and "nan" not in line
