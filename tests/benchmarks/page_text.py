"""The text of docs/performance.md that does not depend on a run."""

INTRODUCTION = """\
# Performance

<!-- Written by `python -m tests.benchmarks.page`. -->

How fast cdsed is, as a ratio to other programs that fetch the same products from the same server on your machine. At
CDSE, your quota is the limit in most cases: 4 connections of 20 MB/s for each [account](accounts.md). Compare the
ratios, not the seconds: those depend on your machine.
"""

NO_FIGURES = """\
This checkout has no figures of a whole run. You can write them into this page [with one command](#repeat-it).
"""

HOW = """\
## How it is measured

Every program fetches the same set of products. They have true manifests, and the paths that CDSE would use:

```text
OCN   40 products, 360 objects, 480 MB
GRD    6 products, 156 objects, 1.2 GB
SLC    1 product,   31 objects, 2 GB
TINY  20 products, 2000 objects of 4 KiB
MIX   all of these, 3.7 GB
```

* The server is `rclone serve s3 --no-checksum` on loopback. Its cache of directories is filled first.
* cdsed runs with its default settings: it leases sessions, verifies every file against the manifest, and makes the data
  durable before a product is published. "daemon" is the time from a listing that is moved into the inbox to its report.
  "run --once" is the time from the start of the program to its end.
* `rclone copy` verifies MD5, too. `rclone --ignore-checksum`, s5cmd, obstore and cdsodatacli verify nothing. TINY and
  MIX are fetched with cdsed, `rclone copy` and s5cmd only.
* All programs run in turn, in another order each time. A ratio is that of two runs of the same turn.
* Before each run, 2.5 GiB of memory are written and freed. Bytecode is compiled first.
* After each run all files are counted, their sizes are compared, and the bytes of 12 are verified.
* CPU is that of all processes of a program, and memory is their proportional set size (PSS).

With a quota, the sandbox is the server: 30 ms to the first byte, 20 MB/s for each connection, 4 connections for each
account. Possible is what these connections can carry if each object is asked for once and no connection ever waits.
With 10 accounts a connection has 5 MB/s, because the sandbox could not send 800 MB/s. Bare connections that only read
show that the sandbox is not the limit.

"Dask on this machine" has 8 holders in two workers of Dask instead of the daemon's 8 sessions. With 400 sessions,
daemon, scheduler, eight workers and their messages are real. Only the holders sleep, 10 s for each object.

cdsed takes 3.3 s of CPU for each GB of large objects. 1.7 s are MD5, and 0.5 s receive, write and read the bytes.
So 2 cores carry 600 MB/s at most, less than 10 accounts with 20 MB/s for each connection. An MD5 goes through an object
in order, on one core. So with 10 accounts, the last object is still digested after its last byte arrived.
"""

REPEAT = """\
## Repeat it

You need 2 cores that do nothing else, 15 GB of free disk, and the package index for the first run:

```console
$ make bench
$ make bench-short
$ .venv/bin/python -m tests.benchmarks ocn start_stop --repeats 3
```

The first takes about an hour, the second below 5. Each prints a table, and writes a JSON file into `build/bench/`.
You can compare two of them, or write this page again:

```console
$ make bench-compare OLD=build/bench/before.json NEW=build/bench/after.json
$ .venv/bin/python -m tests.benchmarks.page build/bench/after.json
```
"""
