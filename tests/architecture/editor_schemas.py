"""Write the JSON Schemas of the settings and accounts files beside `cdsed.config.schema`: ``make docs``."""

from cdsed.config.schema import FileKind, schema_text


def write() -> None:
    """Write both files."""
    for kind in FileKind:
        kind.shipped.write_text(schema_text(kind), encoding="utf-8")


if __name__ == "__main__":
    write()
