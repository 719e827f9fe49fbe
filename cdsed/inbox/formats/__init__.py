"""The forms of listings, one module each: lines and tables, JSON documents, JSON lines, parquet.

Each turns one line, row or JSON object into a `Record`: the words that may name products, their ids and their paths.
`records.judge` makes the lines of the listing of it, in one place for all forms.
"""
