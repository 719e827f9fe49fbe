"""XML from outside as a tree, without a DOCTYPE, by the parser in C: that of defusedxml is written in Python.

Entities are declared in a DOCTYPE only, so none is expanded, and nothing is fetched.
"""

from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser


class DoctypeError(ValueError):
    """A document has a DOCTYPE."""


class _Builder(TreeBuilder):
    def doctype(self, *_: object) -> None:
        raise DoctypeError("it has a DOCTYPE")


def parse_tree(data: bytes) -> Element:
    """Return the root of a document.

    Raises
    ------
    ValueError
        It is not well-formed, or has an encoding that Python does not know; `DoctypeError`: it has a DOCTYPE.
    """
    parser = XMLParser(target=_Builder())  # noqa: S314 - a DOCTYPE is refused, as defusedxml does it
    try:
        parser.feed(data)
        root: Element = parser.close()
    except (ParseError, LookupError) as error:
        raise ValueError(str(error)) from error
    return root
