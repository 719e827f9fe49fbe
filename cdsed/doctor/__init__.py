"""Examining an installation without changing it: `cdsed doctor`."""
