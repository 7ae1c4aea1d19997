"""What a reader looks at: figures, charts, and the quality-control (QC) report."""
