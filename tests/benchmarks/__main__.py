"""Run benchmarks, print one table, and write a JSON file of the run.

``python -m tests.benchmarks`` runs all of them, ``python -m tests.benchmarks ocn slc --short`` two with fewer repeats.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import (
    catalogue,
    cluster,
    contest,
    intake,
    large_product,
    many_sessions,
    many_small,
    names,
    presence,
    quota,
    scale,
    sea,
    second_server,
    starting,
    status,
    tracing,
    whole_machine,
    year,
)
from tests.benchmarks.environment import BUILD, compile_ours
from tests.benchmarks.record import Record
from tests.benchmarks.result import Form, Result


def _fixed(run: Callable[[], list[Result]]) -> Callable[[Form], list[Result]]:
    """Give a benchmark that has one form the arguments of those with a short form."""
    return lambda _form: run()


BENCHMARKS: dict[str, Callable[[Form], list[Result]]] = {
    "start_stop": starting.start_stop,
    "inbox_latency": starting.inbox_latency,
    "syncs": tracing.syncs,
    "small_objects": tracing.small_objects,
    "second_server": second_server.run,
    "quota": quota.quota,
    "tiny_products": whole_machine.tiny_products,
    "cluster": cluster.run,
    "many_sessions": many_sessions.run,
    "idle": whole_machine.idle,
    "memory": whole_machine.memory,
    "intake_lines": scale.intake_lines,
    "claims": scale.claims,
    "presence_million": scale.presence_million,
    "year": year.run,
    "large": _fixed(large_product.run),
    "small": _fixed(many_small.run),
    "status": _fixed(status.run),
    "catalogue": _fixed(catalogue.run),
    "names": _fixed(names.run),
    "sea": _fixed(sea.run),
    "presence": _fixed(presence.run),
    "intake": _fixed(intake.run),
}
BENCHMARKS |= {name.lower(): contest.contest(name) for name in ("OCN", "GRD", "SLC", "TINY", "MIX")}
#: What the short form runs, if no benchmark is named.
SHORT = ("start_stop", "inbox_latency", "syncs", "small_objects", "ocn", "tiny", "slc")


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all; return 1 when one misses its goal."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--short", action="store_true", help="fewer repeats, and by default only the most telling ones")
    parser.add_argument("--repeats", type=int, metavar="N", help="repeat everything N times, e.g. 1 for a try")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write it (default: build/bench/TIME.json)")
    wanted = parser.parse_args(arguments)
    unknown = set(wanted.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    BUILD.mkdir(parents=True, exist_ok=True)
    compile_ours()
    form, record = Form(wanted.short, wanted.repeats), Record(wanted.short)
    for name in wanted.names or (SHORT if wanted.short else BENCHMARKS):
        begun_s = time.monotonic()
        record.results[name] = BENCHMARKS[name](form)
        record.seconds[name] = time.monotonic() - begun_s
        record.write(wanted.json)  # after each, so that a run that is broken off is not lost
    results = [result for each in record.results.values() for result in each]
    width = max((len(result.what) for result in results), default=0)
    print(f"\n{'what':<{width}}  {'measured':<32}  {'goal':>8}")
    for result in results:
        print(f"{result.what:<{width}}  {result.value_text:<32}  {result.goal_text:>8}  {result.verdict}")
    print("\n" + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in record.seconds.items()))
    print(record.write(wanted.json))
    return int(any(result.missed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
