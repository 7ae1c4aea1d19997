"""What every script needs and no field knows of: files, flags, processes, devices, progress, signals."""
