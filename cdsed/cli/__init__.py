"""The ``cdsed`` command: each module has one of its commands, which parses, calls and prints."""
