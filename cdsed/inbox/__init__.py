"""The inbox: noticing dropped listings, reading them, moving them, and answering their owners."""
