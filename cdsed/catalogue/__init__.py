"""The OData catalogue of CDSE, asked by name; the only room that speaks `requests`."""
