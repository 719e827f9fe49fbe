"""What a standing query finds in the catalogue: products that appeared or changed, and products that were deleted."""

from cdsed.frozen import frozen


@frozen
class ChangedProduct:
    """A row of the catalogue that was published or modified; times in seconds UTC.

    Attributes
    ----------
    md5
        Digest of its zip or single object; None if the catalogue gives none.
    sensed_at
        End of sensing; None if the catalogue gives none.
    changed_at
        When it was published or modified, the later one.
    """

    product_id: str
    safename: str
    s3_path: str | None
    md5: str | None
    online: bool
    sensed_at: float | None
    published_at: float | None
    changed_at: float


@frozen
class DeletedProduct:
    """A row of the catalogue that was deleted, when (seconds UTC), and why."""

    product_id: str
    safename: str
    deleted_at: float
    cause: str


@frozen
class Changes:
    """What one run finds.

    Attributes
    ----------
    products
        All rows that changed in the window of the run.
    complete_until_at
        The end of that window, seconds UTC, if more rows changed later than one run takes; else None.
    deleted
        The deleted rows; None if the catalogue does not offer them.
    """

    products: tuple[ChangedProduct, ...]
    complete_until_at: float | None
    deleted: tuple[DeletedProduct, ...] | None
