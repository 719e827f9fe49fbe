import pytest

from cdsed.model.xml_tree import DoctypeError, parse_tree


def test_a_document_becomes_a_tree_with_the_names_of_its_namespaces() -> None:
    root = parse_tree(b'<a xmlns:n="urn:x"><b c="1">text</b><n:b/></a>')
    assert [(each.tag, each.attrib, each.text) for each in root.iter()] == [
        ("a", {}, None),
        ("b", {"c": "1"}, "text"),
        ("{urn:x}b", {}, None),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "head", ["<!DOCTYPE x>", '<!DOCTYPE x [<!ENTITY a "b">]>', '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/">']
)
def test_a_doctype_is_refused_in_any_encoding(head: str, encoding: str) -> None:
    with pytest.raises(DoctypeError):
        parse_tree(f'<?xml version="1.0"?>{head}<x>&a;</x>'.encode(encoding))


@pytest.mark.parametrize(
    "body", [b"", b"<x", b"<x>&a;</x>", b"<x/><y/>", b"\xff\xfe", b'<?xml version="1.0" encoding="no"?><x/>']
)
def test_what_is_not_well_formed_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no element|token|entity|junk|encoding|unclosed"):
        parse_tree(body)
