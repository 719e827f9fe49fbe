"""``cdsed status`` for people."""

from cdsed.view.status_view import StatusView
from cdsed.view.terminal import Canvas


def render(view: StatusView, canvas: Canvas) -> list[str]:
    """Return the lines of a view: the overview, or the details of the requested listing or product."""
    # Import only the module that is needed: `cdsed status` has to be quick.
    if view.details is None:
        from cdsed.view.overview import overview

        return overview(view, canvas)
    from cdsed.view.details import details

    return details(view, view.details, canvas)
