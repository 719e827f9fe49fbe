"""Errors that are both cdsed's and the ones cdsodatacli raised in the same case, so that old ``except`` lines work."""

from cdsed.errors import ConfigError, InboxError


class NoConfiguration(ConfigError, AssertionError):
    """The configuration file of a call does not exist."""


class ConfigKeyError(ConfigError, KeyError):
    """The configuration lacks a group of accounts, or its accounts lack their keys."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotes


class ConfigValueError(ConfigError, ValueError):
    """A group of accounts has another form than cdsodatacli's."""


class NoListing(InboxError, FileNotFoundError):
    """The file of a call does not exist."""

    __str__ = Exception.__str__  # an OSError shows its number, and this one has none


class MissingColumn(ValueError, KeyError):
    """A table lacks a column."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotes


class NoResponse(InboxError, KeyError, ValueError):
    """A file is not a response of the catalogue."""

    __str__ = Exception.__str__  # a KeyError shows its message in quotes


class NoSafename(ValueError, IndexError):
    """A name is not a safename."""
