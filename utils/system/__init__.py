"""What every script needs and has nothing to do with imaging: files, flags, locks, processes, devices, signals."""
