"""What is on our disks: presence, wholeness, free space."""
