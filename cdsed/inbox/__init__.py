"""The inbox: notice dropped listings, read them, move them, and write receipts and reports for their owners."""
