"""Tests the reader of S3's XML: what it takes, and what it refuses."""

import pytest
from partway_server.storage.s3_xml import Malformed, XmlDocument

PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<IsTruncated>false</IsTruncated>"
    "<Part><PartNumber>1</PartNumber><ETag>&quot;a&amp;b&quot;</ETag></Part>"
    "<Owner><ID>deep</ID></Owner>"
    "<Part><PartNumber>2</PartNumber><ETag/></Part>"
    "</ListPartsResult>"
)
PARTS = [{"PartNumber": "1", "ETag": '"a&b"'}, {"PartNumber": "2", "ETag": ""}]


def read(
    text: str | bytes, size: int = 10_000, most: int = 100_000
) -> tuple[XmlDocument, list[dict[str, str]]]:
    data = text if isinstance(text, bytes) else text.encode()
    parts: list[dict[str, str]] = []
    document = XmlDocument(max_bytes=most, item="Part", take=parts.append)
    for at in range(0, len(data), size):
        document.feed(data[at : at + size])
    document.close()
    return document, parts


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("before", ["", " \n\t " * 20])
def test_a_page_is_read_however_it_is_cut(size: int, before: str) -> None:
    document, parts = read(before + PAGE, size)
    assert document.root == "ListPartsResult"
    assert document.fields["IsTruncated"] == "false"
    assert parts == PARTS


def test_prefixes_of_namespaces_do_not_matter() -> None:
    text = PAGE.replace("</", "</s3:").replace("<", "<s3:").replace("<s3:/s3:", "</s3:")
    text = text.replace("<s3:?xml", "<?xml").replace("xmlns=", "xmlns:s3=")
    document, parts = read(text)
    assert (document.root, parts) == ("ListPartsResult", PARTS)


def test_texts_in_another_encoding_are_decoded() -> None:
    text = '<?xml version="1.0" encoding="ISO-8859-1"?><R><Code>é</Code></R>'
    assert read(text.encode("latin-1"))[0].fields == {"Code": "é"}


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))

HOSTILE = {
    "nothing": "",
    "only spaces": "   \n",
    "half": PAGE[:-1],
    "text": "upstream connect error",
    "html": "<!DOCTYPE html><html><body>502 Bad Gateway<br></body></html>",
    "two documents": PAGE + "<more/>",
    "unclosed": "<R><a></R>",
    "an unknown entity": "<R><a>&nbsp;</a></R>",
    "laughs": f'<!DOCTYPE l [<!ENTITY l0 "ha">{LAUGHS}]><R><a>&l9;</a></R>',
    "a file": '<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]><R><a>&f;</a></R>',
    "a parameter entity": '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://127.0.0.1/"> %p;]><R/>',
    "a plain DTD": '<!DOCTYPE R SYSTEM "http://127.0.0.1/r.dtd"><R/>',
    "depth": "<a>" * 10_000,
    "a long text": f"<R><a>{'x' * 70_000}</a></R>",
    "many bytes": f"<R>{'<a>x</a>' * 20_000}</R>",
    "invalid bytes": b"<R><a>\xff\xfe</a></R>",
    "an unknown encoding": '<?xml version="1.0" encoding="no-such"?><R/>',
    "a null": b"<R>\0</R>",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_answer_is_malformed(text: str | bytes) -> None:
    with pytest.raises(Malformed):
        read(text)


def test_one_long_tag_is_limited_by_the_size_of_the_document() -> None:
    with pytest.raises(Malformed, match="too long"):
        read(f"<R a='{'x' * 200_000}'/>")
