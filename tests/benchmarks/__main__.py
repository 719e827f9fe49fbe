"""Run every benchmark and print one table; ``python -m tests.benchmarks NAME …`` runs some of them."""

import sys

from tests.benchmarks import catalogue, intake, large_product, many_small, names, presence, sea, status

BENCHMARKS = {
    "large": large_product.run,
    "small": many_small.run,
    "status": status.run,
    "catalogue": catalogue.run,
    "names": names.run,
    "sea": sea.run,
    "presence": presence.run,
    "intake": intake.run,
}


def main(wanted: list[str]) -> int:
    """Run the named benchmarks, or all; return 1 when one misses its goal."""
    results = [result for name in wanted or BENCHMARKS for result in BENCHMARKS[name]()]
    width = max(len(result.what) for result in results)
    print(f"\n{'what':<{width}}  {'measured':>10}  {'goal':>8}")
    for result in results:
        print(f"{result.what:<{width}}  {result.ratio:>10.3g}  {result.goal_text:>8}  {result.verdict}")
    return int(any(result.missed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
