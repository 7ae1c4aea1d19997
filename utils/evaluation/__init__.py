"""Scores of predictions against labels: metrics, intervals, tables, and scans cut to a few discs."""
