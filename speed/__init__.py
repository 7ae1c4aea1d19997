"""What benchmark.py measures, stage by stage, each beside a plain implementation of the same."""
