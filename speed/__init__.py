"""What benchmark.py measures, stage by stage, each beside a plain way of doing the same."""
