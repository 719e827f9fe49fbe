"""``cdsed status`` for people."""

from cdsed.view.status_view import FailedProducts, StatusView
from cdsed.view.terminal import Canvas


def render(view: StatusView, canvas: Canvas) -> list[str]:
    """Return the lines of a view: the overview, the details of a listing or product, or the failed products."""
    # Import only the module that is needed: `cdsed status` has to be quick.
    if view.details is None:
        from cdsed.view.overview import overview

        return overview(view, canvas)
    if isinstance(view.details, FailedProducts):
        from cdsed.view.failed import failed

        return failed(view.details, view.report.at, canvas)
    from cdsed.view.details import details

    return details(view, view.details, canvas)
