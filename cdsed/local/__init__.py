"""What lies on our disks: archive layouts, presence, wholeness, free space."""
