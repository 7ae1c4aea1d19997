"""What the scripts share: one file, one idea."""
