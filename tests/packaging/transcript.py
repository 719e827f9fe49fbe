"""Does what a command prints agree with what a document shows? Words exactly; times, durations and rates need not."""

import re
from dataclasses import dataclass, field

from cdsed.model.product_state import State

# Kinds of values that differ at each run, longest first; `key` and `pid` are learned, for a later command names them.
_VALUES = {
    "key": r"\b[0-9A-F]{20}\b",
    "pid": r"(?<=\bpid )\d+",
    "time": r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?",
    "stamp": r"\b(?:\d{6}-)?\d{8}T\d{6}Z\b",
    "version": r"\b\d+\.\d+\.\d+\b",
    "duration": r"\b\d+(?:\.\d+)? (?:s|min|h|d)\b",
    "rate": r"\b\d+(?:\.\d+)? [kMGT]?B/s",
    "bar": r"[█░]{2,}",
    "marks": r"[●○·]{2,}",
}
# On the status screen all counts change, and so do the states of products.
_STATE = rf"\d+ (?:{'|'.join(State)})(?: \([^)]*\))?"
_MOVING = {
    "states": rf"(?<=PRODUCTS  ){_STATE}(?: +{_STATE})*",
    "size": r"\b\d+(?:\.\d+)? [kMGT]?B\b",
    "number": r"(?<![\w.-])\d+(?:[ .,]\d+)*(?![\w.-])",
}
_LEARNED = ("key", "pid")


@dataclass
class Comparison:
    """Compares the outputs of one document, one after the other.

    Attributes
    ----------
    known
        What the document calls a key or a process, and what it is in this run.
    """

    known: dict[str, str] = field(default_factory=dict)

    def actual(self, command: str) -> str:
        """Return a command of the document with the keys and processes of this run."""
        for shown, real in self.known.items():
            command = re.sub(rf"\b{shown}\b", real, command)
        return command

    def agrees(self, shown: list[str], printed: str, *, moving: bool = False) -> bool:
        """Tell whether it was printed; learn the keys and processes in it."""
        names: dict[str, str] = {}
        pattern = "".join(self._line(line, names, moving) for line in shown)
        match = re.fullmatch(pattern, _trimmed(printed))
        if match is None:
            return False
        for group, text in names.items():
            self.known[text] = match[group]
        return True

    def _line(self, line: str, names: dict[str, str], moving: bool) -> str:
        if line.strip() == "…":
            return r"(?:.*\n)*?"
        kinds = _VALUES | (_MOVING if moving else {})
        tokens = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items())
        at, made = 0, ""
        for token in re.finditer(tokens, line.strip()):
            made += _text(line.strip()[at : token.start()]) + self._value(str(token.lastgroup), token[0], names)
            at = token.end()
        return r" *" + made + _text(line.strip()[at:]) + r" *\n"

    def _value(self, kind: str, text: str, names: dict[str, str]) -> str:
        if kind in _LEARNED:
            if text in self.known:
                return re.escape(self.known[text])
            group = f"v{len(names)}"
            names[group] = text
            return f"(?P<{group}>{r'[0-9A-F]{20}' if kind == 'key' else r'[0-9]+'})"
        return "(?:" + re.sub(r"\(\?<?[=!].*?\)", "", {**_VALUES, **_MOVING}[kind]) + ")"


def _text(text: str) -> str:
    """Return the pattern of literal text, in which … is anything and columns may be as wide as they need."""
    parts = [re.sub(r"(?:\\ )+", " +", re.escape(part)) for part in text.split("…")]
    return ".*".join(parts)


def _trimmed(printed: str) -> str:
    lines = [line.rstrip() for line in printed.rstrip().split("\n")]
    return "\n".join(lines) + "\n" if printed.strip() else ""
