from tests.unit.catalogue.conftest import certificate

__all__ = ["certificate"]
