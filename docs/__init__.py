"""The documentation, and the script that draws its pictures: ``python -m docs.draw``."""
