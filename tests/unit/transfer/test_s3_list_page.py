"""A page of a list is read whole, or refused: no object is left out, and no page counts as the last by mistake."""

import pytest

from cdsed.errors import ServiceError
from cdsed.transfer.s3_list_page import ListPage, ListRequest, PageEntry, read_list_page

_ASKED = ListRequest("/eodata/S/P.SAFE", "eodata", "S/P.SAFE/")
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_ITEM = "<Contents><Key>S/P.SAFE/a</Key><Size>1</Size><ETag>&quot;e&quot;</ETag></Contents>"


def _page(inner: str = _ITEM, namespace: str = f' xmlns="{_NAMESPACE}"', encoding: str = "utf-8") -> bytes:
    head = f'<?xml version="1.0" encoding="{encoding}"?>'
    return f"{head}<ListBucketResult{namespace}>{inner}</ListBucketResult>".encode(encoding)


def _read(body: bytes, content_type: str | None = "application/xml") -> ListPage:
    return read_list_page(content_type, body, _ASKED)


def _code(body: bytes, content_type: str | None = "application/xml") -> str:
    with pytest.raises(ServiceError) as caught:
        _read(body, content_type)
    assert str(caught.value).isprintable()
    return caught.value.code


@pytest.mark.parametrize(
    ("marks", "continuation"),
    [
        ("", ""),
        ("<IsTruncated/>", ""),
        ("<IsTruncated>false</IsTruncated>", ""),
        ("<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>", ""),
        ("<IsTruncated>true</IsTruncated><NextContinuationToken>t+/=</NextContinuationToken>", "t+/="),
        ("<IsTruncated> True\n</IsTruncated><NextContinuationToken>t</NextContinuationToken>", "t"),
        ("<NextContinuationToken/>", ""),
    ],
)
def test_a_page_says_where_it_continues(marks, continuation):
    assert _read(_page(marks + _ITEM)) == ListPage((PageEntry("S/P.SAFE/a", "1", "e"),), continuation)


@pytest.mark.parametrize(
    "marks",
    [
        "<IsTruncated>true</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken/>",
        "<IsTruncated>yes</IsTruncated>",
        "<NextContinuationToken>t</NextContinuationToken>",
    ],
)
def test_a_page_that_does_not_say_whether_or_where_it_continues_is_refused(marks):
    assert _code(_page(marks + _ITEM)) == "InvalidResponse"


@pytest.mark.parametrize("name", ["Key", "Size", "ETag"])
@pytest.mark.parametrize("times", [0, 2])
def test_an_object_that_is_not_described_once_is_refused(name, times):
    begin, end = _ITEM.index(f"<{name}>"), _ITEM.index(f"</{name}>") + len(f"</{name}>")
    assert _code(_page(_ITEM[:begin] + _ITEM[begin:end] * times + _ITEM[end:])) == "InvalidResponse"


@pytest.mark.parametrize(
    ("key", "declared", "read"),
    [
        ("S/P.SAFE/a%2Bb%20c%25", "<EncodingType>url</EncodingType>", "S/P.SAFE/a+b c%"),
        ("S%2FP.SAFE%2Fa+b", "<EncodingType>url</EncodingType>", "S/P.SAFE/a b"),
        ("S/P.SAFE/a%2Bb", "", "S/P.SAFE/a%2Bb"),
        ("S/P.SAFE/a%2Bb+c", "<EncodingType/>", "S/P.SAFE/a%2Bb+c"),
        ("S/P.SAFE/%FF", "<EncodingType>url</EncodingType>", "S/P.SAFE/�"),
        ("S/P.SAFE/&amp;&#x26;", "", "S/P.SAFE/&&"),
    ],
)
def test_keys_are_decoded_only_if_the_page_says_that_they_are_encoded(key, declared, read):
    assert _read(_page(declared + _ITEM.replace("S/P.SAFE/a", key))).objects[0].key == read


@pytest.mark.parametrize("namespace", ["", f' xmlns="{_NAMESPACE}"', f' xmlns="{_NAMESPACE}" xmlns:x="urn:y" x:z="1"'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_a_page_is_read_with_its_namespace_or_none_in_any_encoding(namespace, encoding):
    assert len(_read(_page(_ITEM * 3, namespace, encoding)).objects) == 3


def test_an_object_of_another_namespace_is_not_left_out():
    assert len(_read(_page(_ITEM + _ITEM.replace("<Contents>", '<Contents xmlns="urn:other">'))).objects) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "before",
    [
        "<!DOCTYPE ListBucketResult>",
        '<!DOCTYPE x [<!ENTITY a "b">]>',
        '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x">',
    ],
)
def test_a_page_with_a_doctype_is_refused(before, encoding):
    body = f'<?xml version="1.0" encoding="{encoding}"?>{before}<ListBucketResult>{_ITEM}</ListBucketResult>'
    assert _code(body.encode(encoding)) == "ProxyResponse"


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (_page()[:-3], "application/xml", "InvalidResponse"),
        (_page(_ITEM.replace("/a<", "/&f;<")), "application/xml", "InvalidResponse"),
        (_page(), "text/html; charset=utf-8", "ProxyResponse"),
        (_page(), "application/json", "ProxyResponse"),
        (b"<Error><Code>InternalError</Code></Error>", "application/xml", "InvalidResponse"),
        (b"<html><body/></html>", None, "ProxyResponse"),
        (_page(namespace=' xmlns="urn:other"'), None, "ProxyResponse"),
        (_page(""), None, "ProxyResponse"),
        (_page(f"<Name>other</Name>{_ITEM}"), None, "ProxyResponse"),
        (_page(f"<Prefix>S/</Prefix>{_ITEM}"), None, "ProxyResponse"),
    ],
)
def test_what_is_not_the_page_that_was_asked_for_is_refused(body, content_type, code):
    assert _code(body, content_type) == code


@pytest.mark.parametrize("size", ["", "-1", "1.5", "1_0", "٣", "9" * 19])
def test_a_size_that_cannot_be_is_refused(size):
    with pytest.raises(ValueError, match="has the size"):
        PageEntry("k", size, "e").checked()
    assert PageEntry("k", "9" * 18, "e").checked() == (10**18 - 1, "e")
