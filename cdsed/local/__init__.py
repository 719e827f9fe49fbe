"""What lies on our disks: presence, wholeness, free space."""
