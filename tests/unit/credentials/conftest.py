from tests.unit.catalogue.conftest import certificate, server

__all__ = ["certificate", "server"]
