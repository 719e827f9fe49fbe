"""What `cdsed status` shows: `read` gives the state as one `StatusView`; `text` and `as_json` render it."""
