"""Read a YAML file of cdsed with the line of each key; other modules know what the keys mean.

It does not import pydantic, because that import alone would take most of the time of ``cdsed status``.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import yaml

from cdsed.errors import ConfigError
from cdsed.frozen import frozen

# libyaml is ten times faster, but not installed everywhere.
_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH_MAX = 20
_BYTES_MAX = 4 * 1024 * 1024

# YAML 1.1 reads 18:00 as the number 1080, and 08:00 as text.
_CLOCK_TIME = ("tag:yaml.org,2002:str", re.compile(r"\d{1,2}:\d\d$"))

# Forms of the names of groups and accounts, and of keys of the file; hexadecimal digits may be an S3 key.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,31}")
_LIKE_A_KEY = re.compile(r"(?=.*[0-9])[0-9a-f-]{16,}|(?=(?:.*[0-9]){3})[a-z0-9]{20,}")

# Text that a message of yaml quotes from the file: a tag, an alias.
_QUOTATION = re.compile(r"['\"][^'\"]{2,}['\"]")

Key = tuple[int | str, ...]


class _Loader(_FastLoader):  # type: ignore[misc]
    """Reads a time of day as text, with or without quotes."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [*([_CLOCK_TIME] if first.isdigit() else []), *forms]
        for first, forms in _FastLoader.yaml_implicit_resolvers.items()
    }


@frozen
class Document:
    """The content of a YAML file, and the line of each key.

    Parameters
    ----------
    path
        The file.
    content
        The values; ``{}`` for an empty file.
    lines
        The line, counted from 1, of each key and list item.
    secret
        Whether messages must not show its values and unknown keys.
    problems
        What is wrong with it apart from its content: repeated keys.
    """

    path: Path
    content: Any
    lines: Mapping[Key, int]
    secret: bool
    problems: tuple[str, ...] = ()

    def problem(self, key: Key, text: str, *, shown: Key | None = None) -> str:
        """Return one line with the place of `key`, its name (or that of `shown`), and what is wrong."""
        line = next((self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), 1)
        name = _dotted(tuple(map(self.shown, key if shown is None else shown)))
        return ": ".join(filter(None, [f"{self.path}:{line}", name, text]))

    def shown(self, part: int | str) -> int | str:
        """Return a key as a message may show it: in a file of secrets, a secret may be in the place of a name."""
        form = _NAME if self.secret else _PLAIN_NAME
        if isinstance(part, int) or (form.fullmatch(part) and not _LIKE_A_KEY.fullmatch(part.lower())):
            return part
        return "***"

    def line_of(self, problem: str) -> int:
        """Return the line that a problem names."""
        return int(problem.removeprefix(f"{self.path}:").partition(":")[0])


def read_document(
    path: Path,
    example: str,
    *,
    secret: bool = False,
    guard: Callable[[os.stat_result], list[str]] = lambda _: [],
) -> Document:
    """Read a YAML file of cdsed.

    Parameters
    ----------
    path
        The file.
    example
        The example in the distribution that you can copy if the file does not exist yet.
    secret
        Whether its values are secrets, so that messages do not show them.
    guard
        Returns what is wrong with the opened file itself, e.g. its mode; an empty list if nothing is.

    Raises
    ------
    ConfigError
        The file is missing, refused by `guard`, or not YAML in UTF-8; `cdsed.config.validate` checks the rest.
    """
    try:
        text = _read(path, guard).decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; copy {example} there and change what you need"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: is not UTF-8 text; save it as such"]) from None
    content, keys = _parse(path, text, secret=secret)
    document = Document(path, content, {key: line for key, line, _ in reversed(keys)}, secret)
    problems = [
        document.problem(key, f"is repeated on line {line}; keep one", shown=key[:-1] if secret else key)
        for key, line, repeated in keys
        if repeated
    ]
    return replace(document, problems=tuple(problems))


def _read(path: Path, guard: Callable[[os.stat_result], list[str]]) -> bytes:
    # O_NONBLOCK: do not block on a FIFO. The open file is checked, because its path may be replaced meanwhile.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError([f"{path}: is not a regular file"])
        if problems := guard(status):
            raise ConfigError(problems)
        if status.st_size > _BYTES_MAX:
            raise ConfigError([f"{path}: has {status.st_size} bytes; a file of cdsed has at most {_BYTES_MAX}"])
        return file.read(_BYTES_MAX)


def _parse(path: Path, text: str, *, secret: bool) -> tuple[Any, list[tuple[Key, int, bool]]]:
    """Return the content, and for every key its path, its line, and whether it is a repetition."""
    try:
        _refuse_deep(path, text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            content = loader.construct_document(node) if node else {}
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        # The message of yaml may quote the file, and its context does. So the exception is not chained either.
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}: column {mark.column + 1}" if mark else f"{path}"
        why = "" if secret or _QUOTATION.search(error.problem or "") else f" ({error.problem})"
        problem = f"{where}: this is not YAML{why}; look at indentation, colons and quotes there"
        raise ConfigError([problem]) from None
    except (yaml.YAMLError, ValueError, AttributeError, TypeError, LookupError):  # a tag such as !!int on a text
        problem = f"{path}: has an invalid character, number or date; put text in quotes"
        raise ConfigError([problem]) from None
    return content, list(_keys(node, (), set()))


def _refuse_deep(path: Path, text: str) -> None:
    """Refuse deep nesting: to compose it would overflow the stack, and end the process."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH_MAX:
            raise ConfigError([f"{path}: is nested more than {_DEPTH_MAX} levels deep, which a file of cdsed never is"])


def _keys(node: yaml.Node | None, key: Key, seen: set[int]) -> Iterator[tuple[Key, int, bool]]:
    """Walk the nodes; skip a node that an alias leads to again, so that a circle ends."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    children: list[tuple[int | str, yaml.Node, yaml.Node]]
    if isinstance(node, yaml.MappingNode):
        children = [(str(name.value), name, value) for name, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(index, item, item) for index, item in enumerate(node.value)]
    else:
        return
    names: set[int | str] = set()
    for name, place, value in children:
        yield (*key, name), place.start_mark.line + 1, name in names
        names.add(name)
        yield from _keys(value, (*key, name), seen)


def _dotted(key: Key) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key).removeprefix(".")
