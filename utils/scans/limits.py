"""How large a scan may be, here and not beside its reader: a script's ``--help`` states it and reads no scan."""

MAX_VOXELS = 2**27  # half a GB as float32
