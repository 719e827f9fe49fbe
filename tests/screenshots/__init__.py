"""Pictures for the documents, of a sandbox run: ``make screenshots`` writes them to docs/pictures."""
