"""Pictures for the documents: ``make screenshots``."""
