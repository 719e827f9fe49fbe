"""The version of cdsed; it imports nothing, so every room may import it. The build reads it from here."""

__version__ = "0.1.0"
