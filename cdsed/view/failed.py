"""``cdsed status --failed`` for people: the products that failed last, why, and what you do about each."""

from itertools import groupby

from cdsed.model.advice import advice_for
from cdsed.model.operation import FailedProduct
from cdsed.view.status_view import FailedProducts
from cdsed.view.table import Column, table
from cdsed.view.terminal import Canvas, Colour
from cdsed.view.wording import number, plural, span


def failed(about: FailedProducts, now: float, canvas: Canvas) -> list[str]:
    """Return the lines: a part for each state and code in turn, with what to do, and the products below it."""
    of = f" of {about.listing}" if about.listing else ""
    if not about.products:
        return canvas.wrap(f"No product{of} has failed")
    lines = [canvas.paint(f"{plural(about.total, 'failed product')}{of}, the latest first", Colour.TITLE)]
    ordered = sorted(about.products, key=lambda each: (each.state, each.code or ""))
    parts = [list(part) for _, part in groupby(ordered, key=lambda each: (each.state, each.code))]
    for part in sorted(parts, key=lambda part: -part[0].ended_at):
        lines += _part(part, now, canvas)
    left_out = about.total - len(about.products)
    return [*lines, f"and {number(left_out)} more: add --limit"] if left_out > 0 else lines


def _part(products: list[FailedProduct], now: float, canvas: Canvas) -> list[str]:
    first = products[0]
    title = f"{first.state}  {first.code or ''}".rstrip()
    lines = [canvas.paint(title, Colour.BAD), *canvas.wrap(advice_for(first.code, first.state), "  ")]
    heads = [Column(shrinks_to=30), Column(rank=1, right=True), Column(rank=2)]
    rows = [
        [
            each.safename,
            f"{span(max(0.0, now - each.ended_at))} ago",
            plural(each.attempts, "attempt") if each.attempts else "",
        ]
        for each in products
    ]
    for product, line in zip(products, table(canvas, heads, rows), strict=True):
        lines += [line, *canvas.wrap(product.cause or "", "      ")]
    return [canvas.marks(line) for line in lines]
