"""The comparisons behind the tables and choices of the documentation, each run as ``python -m studies.NAME``."""
