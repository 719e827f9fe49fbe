"""Write docs/states.md, the states of a product, from the one table of its transitions: ``make docs``."""

from pathlib import Path

from cdsed.model.product_state import TERMINAL, TRANSITIONS, State, diagram

RESERVED = State.CANCELLED
"""No command moves a product there yet; a test holds this true."""
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

A finished product is queued again only when a later listing asks for it and it is on no disk, or by `cdsed retry`.

*{RESERVED}* is reserved for a command that is to come. No command of this version cancels a product, so you do not see
this state.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
