"""How to train: the published recipe, and the one that was measured to be better.

``published`` follows the code released with Azad, Rouhier and Cohen-Adad (2021): RMSprop with 2.5e-4,
divided by 10 at epochs 60 and 90, batches of 3, 256 features, a mean squared error on every stack, its
rotation and intensity changes (here ours), without its upside-down flip.
"""

RECIPES = {
    "default": {
        "features": 64, "in_channels": 1, "batch_size": 8, "lr": 1e-3, "loss": "focal", "optimizer": "adamw",
        "average": True,  # of the weights of many steps
        "least_slices": 160,  # an epoch takes a small data set several times: validation costs time too
    },
    "published": {
        "features": 256, "in_channels": 3, "batch_size": 3, "lr": 2.5e-4, "loss": "mse", "optimizer": "rmsprop",
        "average": False, "least_slices": 1,
    },
}  # fmt: skip
