"""The OData catalogue of CDSE, by search and by name, and the one HTTP client."""
