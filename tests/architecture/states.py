"""Write docs/states.md, the states of a product, from the one table of its transitions: ``make docs``."""

from pathlib import Path

from cdsed.model.product_state import TERMINAL, TRANSITIONS, diagram

PAGE = Path(__file__).resolve().parents[2] / "docs" / "states.md"


def page() -> str:
    """Return the page."""
    rows = "\n".join(
        f"| {state} | {', '.join(sorted(targets))} | {'finished' if state in TERMINAL else ''} |"
        for state, targets in TRANSITIONS.items()
    )
    return f"""# The life of a product

Generated from `cdsed/model/product_state.py` by `make docs`. A test compares them. The database refuses any other move.

```mermaid
{diagram()}```

| state | may become | |
|---|---|---|
{rows}

A finished product is queued again only when a later listing asks for it and it is on no disk, or by `cdsed retry` or
`cdsed refetch`. Only `cdsed cancel` leads to *cancelled*: see [controls](controls.md#cancel).
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
