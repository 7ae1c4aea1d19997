"""What the scripts are made of: one sub-package per script, and `scans` and `system` for all of them."""
