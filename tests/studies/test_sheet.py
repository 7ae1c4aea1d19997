"""Sheets of real and synthetic images: regions by hand, real images on the left, synthetic ones on the right."""

import numpy as np
from PIL import Image

from studies import sheet
from utils.synthesis.batches import validation_samples
from utils.synthesis.images import SIZE


def test_the_region_of_a_view_is_that_of_its_middle_disc():
    assert sheet.region_of([3, 4, 5]) == "cervical" and sheet.region_of([20, 21, 22, 23, 24, 25]) == "lumbar"
    assert sheet.region_of([8, 9, 10]) == "thoracic" and sheet.region_of([]) is None


def test_a_sheet_has_the_real_image_on_the_left_and_a_synthetic_one_on_the_right(tmp_path, monkeypatch):
    sample = next(s for s in validation_samples(16, 1) if sheet.region_of(s.levels) == "lumbar")
    monkeypatch.setattr(sheet, "load_split", lambda folder, split: [sample])
    sheet.main(["--data", "x", "--out", str(tmp_path / "a"), "--anatomies", "1"])
    assert [path.name for path in tmp_path.iterdir()] == ["a_lumbar.png"]
    picture = np.asarray(Image.open(tmp_path / "a_lumbar.png").convert("L"))
    assert picture.shape == (SIZE, 2 * sheet.COLUMNS * SIZE + sheet.BAND)
    np.testing.assert_array_equal(picture[:, :SIZE], np.uint8(sample.image * 255))
    left = sheet.COLUMNS * SIZE + sheet.BAND
    assert picture[:, left : left + SIZE].any() and (picture[:, left - sheet.BAND : left] == 255).all()
