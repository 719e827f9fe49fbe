"""What the archive holds and how it came there, as files of common formats: `cdsed export`."""
