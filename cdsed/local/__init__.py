"""Checks of local disks: which products are present and complete, and how much space is free."""
