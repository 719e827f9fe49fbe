"""Write docs/configuration.md, every setting with type, unit, default and an example, from `Settings`: ``make docs``.

What a key means is its description in `cdsed.config.settings`. Comments of ``etc/cdsed.yml`` introduce the sections.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from cdsed.config.job_queue import parse_walltime_s
from cdsed.config.section import Section
from cdsed.config.settings import Settings
from cdsed.config.values import parse_size_bytes

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"
COMMENTED = ROOT / "etc" / "cdsed.yml"

EXAMPLES: dict[str, Any] = {
    "state_dir": "/data/cdsed/state",
    "runtime_dir": "/run/cdsed",
    "backup_dir": "/backup/cdsed",
    "inbox.path": "/data/inbox",
    "inbox.stable_for_s": 30,
    "inbox.scan_every_s": 60,
    "inbox.ignored_names": ["*.draft", "test-*"],
    "spools": ["/data/spool-1", "/data/spool-2"],
    "pre_spool": "/data/staging",
    "archives[].root": "/data/archive",
    "archives[].layouts": {"S3": "{unit}/{product_type}/{year}/{doy}"},
    "accounts_file": "/data/cdsed/accounts.yml",
    "default_group": "lab",
    "groups.NAME.layout": "{mission}/{year}/{month}/{day}",
    "groups.NAME.include": ["*-vv-*"],
    "groups.NAME.exclude": ["preview", "*-ql.jpg"],
    "services.s3_url": "http://127.0.0.1:8333",
    "services.s3_region": "other",
    "services.s3_bucket": "mirror",
    "services.catalogue_url": "http://127.0.0.1:8333/odata/v1",
    "services.identity_url": "http://127.0.0.1:8333/auth/realms/CDSE/protocol/openid-connect/token",
    "services.keys_manager_url": "http://127.0.0.1:8333/api/user",
    "services.download_url": "http://127.0.0.1:8333/download/odata/v1",
    "services.temporary_keys": False,
    "services.ca_file": "/etc/ssl/certs/ca-certificates.crt",
    "services.proxy_url": "http://proxy.example.org:3128",
    "transfer.processes": 4,
    "transfer.piece_bytes": "128MiB",
    "transfer.connect_timeout_s": 20,
    "transfer.read_timeout_s": 120,
    "transfer.rate_min_bytes_per_s": "100kB",
    "transfer.rate_window_s": 120,
    "transfer.checkpoint_every_s": 5,
    "transfer.session_cooldown_s": 5,
    "transfer.zip_fallback": True,
    "transfer.manifest": "warn",
    "retry.attempts": 10,
    "retry.first_delay_s": 60,
    "retry.longest_delay_s": 3600,
    "retry.refused_for_s": 60,
    "retry.account_first_delay_s": 60,
    "retry.account_longest_delay_s": 7200,
    "disk.free_bytes_min": "50GB",
    "catalogue.requests_per_s": 1,
    "catalogue.names_per_request": 10,
    "catalogue.timeout_s": 120,
    "catalogue.cache_dir": "/data/cache/cdsed",
    "catalogue.cache_ttl_s": 3600,
    "catalogue.negative_ttl_s": 600,
    "process.stop_within_s": 60,
    "process.ready_within_s": 600,
    "process.hung_after_s": 300,
    "process.rss_max_bytes": "2GB",
    "engine.kind": "dask",
    "engine.scheduler": "tcp://127.0.0.1:8786",
    "engine.tls_dir": "/etc/cdsed/engine",
    "engine.jobqueue.system": "slurm",
    "engine.jobqueue.queue": "transfer",
    "engine.jobqueue.account": "remote-sensing",
    "engine.jobqueue.jobs_max": 10,
    "engine.jobqueue.cores": 4,
    "engine.jobqueue.memory_bytes": "8GB",
    "engine.jobqueue.walltime": "12:00:00",
    "engine.jobqueue.leave_before_s": 600,
    "engine.jobqueue.idle_s": 60,
    "engine.jobqueue.pending_max_s": 43200,
    "engine.jobqueue.directives": ["--qos=low"],
    "engine.jobqueue.resource_spec": "select=1:ncpus=2:mem=4gb",
    "engine.jobqueue.prologue": ["source /etc/profile", "module load python/3.12"],
    "engine.jobqueue.python": "/shared/cdsed/bin/python",
    "engine.jobqueue.interface": "ib0",
    "engine.jobqueue.scheduler_host": "head.example.org",
    "engine.jobqueue.scheduler_port": 8786,
    "engine.jobqueue.log_dir": "/shared/cdsed/jobs",
    "engine.grant_s": 60,
    "engine.renew_every_s": 5,
    "engine.lost_rest_s": 600,
    "engine.holders_per_worker": 8,
    "time_zone": "Europe/Paris",
    "limits.machine": [{"bytes_per_s": "50MB", "from": "08:00", "to": "18:00", "days": "mon-fri"}],
    "limits.groups": {"lops": [{"bytes_per_s": "20MB"}]},
    "limits.accounts": {"lab-1": [{"bytes_per_s": "10MB", "days": "sat,sun"}]},
    "pauses.all": [{"from": "07:00", "to": "22:00"}],
    "pauses.groups": {"lops": [{"days": "mon-fri"}]},
    "pauses.accounts": {"lab-1": [{"from": "12:00", "to": "14:00"}]},
    "pauses.listings": {"backlog-*": [{"from": "08:00", "to": "18:00", "days": ["mon", "tue"]}]},
    "pauses.disks": {"/data/spool-2": [{"from": "01:00", "to": "03:00"}]},
    "web.listen": "/var/lib/cdsed/web.sock",
    "web.allow_remote": True,
    "web.hosts": ["cdsed.example.org"],
    "web.token_file": "/etc/cdsed/web.token",
    "queries[].name": "brittany",
    "queries[].search.start": "2024-06-04",
    "queries[].search.end": "2024-06-05",
    "queries[].search.area": "POINT (-5 48.4)",
    "queries[].search.collection": "SENTINEL-1",
    "queries[].search.name": "S1A_IW_GRDH_*",
    "queries[].search.sensor_mode": "IW",
    "queries[].search.product_type": "IW_GRDH_1S",
    "queries[].search.polarisation": "VV&VH",
    "queries[].search.orbit": 54172,
    "queries[].search.relative_orbit": 8,
    "queries[].search.orbit_direction": "ASCENDING",
    "queries[].search.cloud_max_percent": 20.0,
    "queries[].search.sea_min_percent": 50.0,
    "queries[].search.online": True,
    "queries[].search.attributes": ["timeliness eq 'NRT-3h'"],
    "queries[].cron": "0 6 * * *",
    "queries[].every_s": 3600,
    "queries[].group": "lab",
    "queries[].priority": 5,
    "queries[].overlap_s": 7200,
    "queries[].published_since": "2024-06-04",
    "queries[].products_max": 500,
    "queries[].late_after_s": 86400,
    "hooks[].name": "ingest",
    "hooks[].events": ["product_published"],
    "hooks[].command": ["/usr/local/bin/ingest", "--json"],
    "hooks[].webhook.url": "https://hooks.example.org/cdsed",
    "hooks[].webhook.secret_file": "/etc/cdsed/webhook.secret",
    "hooks[].mail.to": ["lab@example.org"],
    "hooks[].mail.from_address": "cdsed@example.org",
    "hooks[].mail.subject": "cdsed on lab-1",
    "hooks[].mail.every_s": 3600,
    "hooks[].mail.sendmail": "/usr/lib/sendmail",
    "hooks[].groups": ["lab"],
    "hooks[].listings": ["storm-*"],
    "hooks[].batch_s": 60,
    "hooks[].batch_max": 10,
    "hooks[].time_limit_s": 10,
    "hooks[].alarm_after_s": 300,
    "hooks[].give_up_after_s": 86400,
    "hooks[].attempts_max": 50,
    "hooks[].pending_max": 1000,
    "log_level": "DEBUG",
    "log_format": "json",
}
"""A value other than the default for each key, as a file has it; a test loads each."""

_HEAD = """\
# Configuration

Generated from `cdsed/config/settings.py` and `etc/cdsed.yml` by `make docs`. A test holds it equal.

Write only the keys that you want to change, then check the file:

    $ cdsed sandbox --port 8333 --write /tmp/tour
    …
    $ cdsed config check --config /tmp/tour/cdsed.yml
    settings: /tmp/tour/cdsed.yml
    accounts: /tmp/tour/accounts.yml
    1 group, 2 accounts, 8 sessions; no expiry of keys is given

You see all mistakes at once, each with its line and key:

    $ echo 'transfer: {proceses: 4}' > wrong.yml
    $ cdsed config check --no-accounts --config wrong.yml; echo $?
    …
    78

Have a commented file written for your directories, with an accounts file beside it:

    $ cd /tmp/tour
    $ cdsed config init --config new/cdsed.yml --state-dir new/state --spool new/spool --inbox new/inbox
    wrote: /tmp/tour/new/cdsed.yml
    wrote: /tmp/tour/new/accounts.yml
    …

Its first line tells an editor with the YAML language server (VS Code, Neovim, Emacs) the JSON Schema, so that it
completes keys and marks mistakes. To get that line for a file that you have:

    $ echo '# yaml-language-server: $schema='$(cdsed config schema settings --path)
    # yaml-language-server: $schema=/…/settings.schema.json
    $ cdsed config schema accounts | head -n 1
    {

cdsed reads the first of these files that you have:

    --config FILE
    $CDSED_CONFIG
    $XDG_CONFIG_HOME/cdsed/cdsed.yml      (~/.config/cdsed/cdsed.yml)
    /etc/cdsed/cdsed.yml

After you changed it, [reload the daemon](exit-codes.md#reload-settings-and-accounts). [etc/cdsed.yml](../etc/cdsed.yml)
has every key with its default, for you to copy. Passwords and keys are in [another file](accounts.md).

You can write sizes as bytes, as `32MiB` (binary) or as `20MB` (decimal). Durations are seconds, and their keys end in
`_s`. Paths are absolute, and `~` at the beginning is your home directory.
"""

_BEGINNING = re.compile(r"(?:(?<=^)|(?<=\. ))[a-z](?!ttp:|ull:)")
_CHOICE = re.compile(r"^true or false: whether (.*)$")


def keys(section: type[Section] = Settings, above: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Return every key, as ``section.key``, with its field; those of a list of sections as ``archives[].key``."""
    for name, info in section.model_fields.items():
        inner = _section_of(info.annotation)
        if inner is None or above in ("limits.", "pauses."):
            yield f"{above}{name}", info
        else:
            many = {tuple: "[]", dict: ".NAME"}.get(get_origin(info.annotation) or type, "")
            yield from keys(inner, f"{above}{name}{many}.")


def _section_of(annotation: Any) -> type[Section] | None:
    """Return the section that an annotation is, or that it has lists of, or allows."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(_section_of, get_args(annotation))), None)


# What an element of a list needs besides the key that is shown.
_NEEDS: dict[str, dict[str, Any]] = {
    "archives": {"root": "/data/archive"},
    "queries": {"name": "brittany", "search": {"collection": "SENTINEL-1"}, "every_s": 3600},
    "hooks": {"name": "ingest", "command": ["/usr/local/bin/ingest"]},
}
_NEEDS_INSIDE: dict[str, dict[str, Any]] = {
    "webhook": {"url": "https://hooks.example.org/cdsed", "secret_file": "/etc/cdsed/webhook.secret"},
    "mail": {"to": ["lab@example.org"], "from_address": "cdsed@example.org"},
}
# What a section below another one needs besides the key that is shown.
_NEEDS_BELOW: dict[str, dict[str, Any]] = {
    "engine": {"tls_dir": "/etc/cdsed/engine"},
    "jobqueue": {"system": "slurm", "log_dir": "/shared/cdsed/jobs"},
}
_NEEDS_ANOTHER: dict[str, dict[str, Any]] = {"resource_spec": {"system": "pbs"}}
_INSTEAD = {"cron": "every_s", "webhook": "command", "mail": "command"}


def example(key: str) -> dict[str, Any]:
    """Return the example of a key as a settings file has it, with what else the file needs then."""
    section, _, name = key.rpartition(".")
    value = EXAMPLES[key]
    if section == "groups.NAME":
        return {"groups": {"lab": {name: value}}}
    if "[]" not in key and "." in section:
        top, _, inner = section.partition(".")
        given = {**_NEEDS_BELOW[inner], **_NEEDS_ANOTHER.get(name, {}), name: value}
        return {top: {**_NEEDS_BELOW[top], inner: given}}
    if "[]" not in key:
        return {section: {name: value}} if section else {name: value}
    top, _, rest = key.partition("[].")
    inner, _, last = rest.rpartition(".")
    element = {given: needed for given, needed in _NEEDS[top].items() if given != _INSTEAD.get(inner or last)}
    if not inner:
        return {top: [{**element, last: value}]}
    return {top: [{**element, inner: {**_NEEDS_INSIDE.get(inner, {}), last: value}}]}


def comments() -> dict[str, str]:
    """Return the comment above each key of the first level in etc/cdsed.yml, its examples as blocks."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in COMMENTED.read_text("utf-8").split("\n"):
        if line.startswith("#"):
            above.append(line[2:])
        elif match := re.match(r"(\w+):", line):
            found[match[1]] = _sentences(" ".join(each for each in above if not each.startswith("  ")))
            above = []
        elif not line.strip():
            above = []
    return found


def page() -> str:
    """Return the page."""
    lines = [_HEAD]
    introductions = comments()
    section = ""
    for key, info in keys():
        head = key.partition(".")[0].removesuffix("[]")
        nested = "." in key
        if head != section:
            section = head
            lines.append(f"## {head}\n")
            if nested and introductions.get(head):
                lines.append(f"{introductions[head]}\n")
        if nested:
            lines.append(f"### {key}\n")
        lines += ["    " + line for line in _yaml(example(key))]
        meaning = _sentences(str(info.description))
        if not nested and introductions.get(head):
            meaning = introductions[head]
        about = f"{meaning} Type: {_type(info)}{_unit(key)}. {_default(key, info)}"
        lines += ["", *wrap(about, 120, break_long_words=False, break_on_hyphens=False), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _yaml(value: dict[str, Any]) -> list[str]:
    return yaml.safe_dump(value, sort_keys=False, width=200).rstrip("\n").split("\n")


def _sentences(text: str) -> str:
    """Return a description as sentences: what a semicolon joins becomes two."""
    text = re.sub(r"; ", ". ", _CHOICE.sub(r"whether \1", text.strip()))
    text = text.replace("null:", "`null` means:").replace(" 0: never", " 0 means never").replace("http://", "`http://`")
    text = _BEGINNING.sub(lambda match: match[0].upper(), text).removesuffix(" For example:")
    return text if not text or text.endswith(".") else f"{text}."


def _type(info: FieldInfo) -> str:
    """Return the type with its bounds."""
    annotation = str(info.annotation)
    low = next((f"above {each.gt:g}" for each in info.metadata if hasattr(each, "gt")), "")
    low = next((f"from {each.ge:g}" for each in info.metadata if hasattr(each, "ge")), low)
    high = next((f"up to {each.le:g}" for each in info.metadata if hasattr(each, "le") and each.le < 1e9), "")
    bounds = "".join(f" {part}" for part in (low, high) if part)
    if any(getattr(each, "func", None) is parse_size_bytes for each in info.metadata):
        return "size"
    if any(getattr(each, "func", None) is parse_walltime_s for each in info.metadata):
        return "hours, minutes and seconds"
    if "WindowRule" in annotation or "LimitRule" in annotation:
        rules = "limits" if "LimitRule" in annotation else "windows"
        return f"mapping of names to lists of {rules}" if "dict" in annotation else f"list of {rules}"
    if "tuple" in annotation:
        if "Path" in annotation:
            return "list of paths"
        return "list of patterns" if "_name_pattern" in annotation else "list of texts"
    if "Layout" in annotation:
        return "template, or mapping of families to templates"
    if "dict" in annotation:
        return "mapping of families to templates"
    if "Path" in annotation:
        return "path or `null`" if info.default is None else "path"
    if "Literal" in annotation:
        choices = re.findall(r"'(\w+)'", annotation)
        return f"{', '.join(f'`{each}`' for each in choices[:-1])} or `{choices[-1]}`"
    simple = {bool: "`true` or `false`", int: f"whole number{bounds}", float: f"number{bounds}"}
    kinds = (info.annotation, *get_args(info.annotation))
    return next(
        (words for kind, words in simple.items() if kind in kinds), "time" if "datetime" in annotation else "text"
    )


def _unit(key: str) -> str:
    """Return the unit, which the end of a key's name says."""
    units = {
        "_bytes_per_s": "bytes per second",
        "requests_per_s": "requests per second",
        "_s": "seconds",
        "_bytes": "bytes",
        "_bytes_min": "bytes",
    }
    return next((f", in {unit}" for ending, unit in units.items() if key.endswith(ending)), "")


def _default(key: str, info: FieldInfo) -> str:
    if info.is_required():
        return "Required."
    value: Any = yaml.safe_load(COMMENTED.read_text("utf-8"))
    if key.startswith("groups"):
        return "Default: none."
    if "[]" in key:
        return f"Default: {_in_list(info.get_default(call_default_factory=True))}."
    for part in key.split("."):
        if value is None:  # a section that is left out
            return f"Default: {_in_list(info.get_default(call_default_factory=True))}."
        value = value[part]
    return f"Default: `{yaml.safe_dump(value, default_flow_style=True, width=200).split(chr(10))[0]}`."


def _in_list(value: Any) -> str:
    """Return the default of a key of a list, which the commented file does not show."""
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`" if value else "none"
    return "none" if value is None or value == {} else f"`{json.dumps(value, default=str)}`".replace('"', "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
