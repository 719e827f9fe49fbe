"""The ``cdsed`` command: each module owns one of its commands, parses, calls, prints."""
