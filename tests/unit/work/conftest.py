"""A state of its own for each test."""

from tests.unit.store.conftest import lab

__all__ = ["lab"]
