"""Verifying the products of a whole archive again, here or on workers: batches of them, progress on disk, a report."""
