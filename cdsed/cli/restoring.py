"""What `cdsed state restore` says before it asks: which backup it uses, and what is lost."""

from pathlib import Path
from typing import TYPE_CHECKING

from cdsed.clock import SYSTEM_CLOCK, iso
from cdsed.errors import StateError, UsageError
from cdsed.view.wording import number, plural, span

if TYPE_CHECKING:
    from cdsed.config.settings import Settings


def chosen_backup(settings: "Settings", name: str | None) -> Path:
    """Return the backup of that name or path; without a name the newest.

    Raises
    ------
    UsageError
        It does not exist.
    """
    from cdsed.store.backup import backups

    if name is None:
        kept = backups(settings.backups_dir)
        if not kept:
            raise UsageError(f"{settings.backups_dir} has no backup; see cdsed state rebuild")
        return kept[0].path
    named = [path for path in (Path(name), settings.backups_dir / name) if path.is_file()]
    if not named:
        raise UsageError(f"no backup is named {name}; cdsed state check lists them")
    return named[0].resolve()


def loss(settings: "Settings", backup: Path | None, *, named: bool = False) -> list[str]:
    """Return sentences on the backup, its age, and what the present state has that it lacks.

    Parameters
    ----------
    backup
        None: the new state is made without one.
    named
        Whether you named the backup; else an older one is used if this one is damaged.
    """
    if backup is None:
        return ["No backup is used.", _since(settings, 0.0)]
    made_at = _made_at(settings, backup)
    age = span(max(0.0, SYSTEM_CLOCK.utc_s() - made_at))
    other = "" if named else "; if it is damaged, the next older one is used"
    return [f"The backup is {backup.name}, made at {iso(made_at)}, {age} ago{other}.", _since(settings, made_at)]


def _made_at(settings: "Settings", backup: Path) -> float:
    from cdsed.store.backup import backups

    known = {each.path.resolve(): each.made_at for each in backups(settings.backups_dir)}
    return known.get(backup.resolve()) or backup.stat().st_mtime


def _since(settings: "Settings", made_at: float) -> str:
    from cdsed.process.lock import is_running
    from cdsed.store.audit import changes_since
    from cdsed.store.database import open_read_only

    try:
        db = open_read_only(settings.state_dir, daemon_runs=is_running(settings.state_dir))
        if db is None:
            return "A state does not exist now, so nothing is lost."
        try:
            changes, listings = changes_since(db, made_at)
        finally:
            db.close()
    except StateError as error:
        return f"The present state cannot be read ({error}), so it is unknown what it has that the backup lacks."
    if not changes and not listings:
        return "The present state has nothing newer."
    newer = f"{plural(listings, 'listing')} and {number(changes)} changes of products"
    return (
        f"The present state has {newer} that are newer: their history, attempts and pauses are lost, "
        "listings are taken again, and what is on disk is found again."
    )
