"""The report of a run: one file of JSON, in memory that does not grow with what was wrong."""

from pathlib import Path

from cdsed.clock import iso
from cdsed.inbox.report_writer import JsonWriter, atomic_text
from cdsed.verification.batch_wire import VerdictKind
from cdsed.verification.progress_file import ProgressFile

SCHEMA = 1


def write_report(path: Path, progress: ProgressFile, sentences: list[str], ended_at: float) -> None:
    """Write the report; it appears when it is complete and on the disk.

    Parameters
    ----------
    sentences
        What was said of workers.
    """
    tally = progress.tally
    before = {
        "schema": SCHEMA,
        "version": progress.head.version,
        "asked_for": list(progress.head.names),
        "begun_at": iso(progress.head.begun_at),
        "ended_at": iso(ended_at),
        "seconds": round(tally.ran_s, 3),
        "products": tally.products,
        "right": tally.right,
        "parts": tally.parts,
        **{finding.value: tally.found[finding] for finding in VerdictKind},
        "size_bytes": tally.size_bytes,
        "bytes_per_s": round(tally.size_bytes / tally.ran_s) if tally.ran_s else 0,
        "nodes": [
            {
                "node": name,
                "products": node.products,
                "size_bytes": node.size_bytes,
                "seconds": round(node.seconds, 3),
            }
            for name, node in sorted(tally.nodes.items())
        ],
        "workers_not_used": sentences,
    }
    with atomic_text(path) as file:
        writer = JsonWriter(file, before, "problems")
        for record in progress.records():
            for each in record.answer.problems:
                writer.add(
                    {
                        "safename": each.safename,
                        "path": each.path,
                        "finding": each.finding.value,
                        "problems": list(each.problems),
                        "node": each.node,
                    }
                )
        writer.end({})
