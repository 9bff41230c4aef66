"""The objects of a listing, read without botocore's model of them, which takes most of a page's time (measured)."""

from typing import Any
from xml.etree import ElementTree as ET

from opskit.storage.s3_client import read_time

_OK = 200


def read_contents(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Take the objects out of a page before botocore parses it, and add them to what it returns.

    A handler of botocore's `before-parse`. What is no page is left to botocore; what an object lacks, or has in
    another form, is a `KeyError` or `ValueError`. Keys stay encoded, as botocore decodes them afterwards.
    """
    if response_dict["status_code"] != _OK:
        return
    try:
        page = ET.fromstring(response_dict["body"])  # noqa: S314 - by the parser that botocore uses for it
    except ET.ParseError:
        return
    objects = [child for child in page if child.tag.endswith("Contents")]
    if objects:
        page[:] = [child for child in page if not child.tag.endswith("Contents")]
        customized_response_dict["Contents"] = [_object(each) for each in objects]
        response_dict["body"] = ET.tostring(page)


def _object(element: ET.Element) -> dict[str, object]:
    texts = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
    known: dict[str, object] = {
        "Key": texts["Key"],
        "Size": int(texts["Size"]),
        "LastModified": read_time(texts["LastModified"]),
        "ETag": texts.get("ETag", ""),
    }
    return known | {"StorageClass": texts["StorageClass"]} if "StorageClass" in texts else known
