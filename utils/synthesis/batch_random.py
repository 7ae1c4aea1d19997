"""Random numbers for batches of synthetic images."""

import torch
import torch.nn.functional as F

SIZE = 256  # pixels of 1 mm along either side of an image


class BatchRandom:
    """Random numbers for a batch, one per image unless said otherwise."""

    def __init__(self, generator, device, count):
        self.generator, self.device, self.count = generator, device, count

    def uniform(self, low, high, *shape):
        """Return numbers (B, *shape) between two bounds, numbers or (B,) with an empty shape."""
        value = torch.rand(self.count, *shape, generator=self.generator, device=self.device)
        return low + (high - low) * value

    def normal(self, mean, spread, *shape):
        """Return numbers (B, *shape) from a normal distribution."""
        return mean + spread * torch.randn(self.count, *shape, generator=self.generator, device=self.device)

    def chance(self, share):
        """Return 1 for a share of the images (B,) and 0 for the others."""
        return (self.uniform(0, 1) < share).float()

    def smooth(self, knots):
        """Return fields (B, H, W) with standard deviations of about 1, from ``knots`` x ``knots`` random values."""
        field = self.normal(0, 1, 1, knots, knots)
        return F.interpolate(field, (SIZE, SIZE), mode="bicubic" if knots < 16 else "bilinear")[:, 0]
