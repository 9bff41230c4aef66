"""URIs as the registry's clients write them, as people write them, and as an attacker would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opskit.artifacts.uri import (
    ConnectionLocation,
    FileLocation,
    HttpLocation,
    Malformed,
    OciLocation,
    S3Location,
    Unsupported,
    locate,
    parse,
)

S3 = "https://s3.example.com"

UNDERSTOOD = {
    # by the Python client: nothing is encoded
    f"s3://models/a/b?endpoint={S3}&defaultRegion=eu-west-1": S3Location("models", "a/b", "a/b/", S3),
    f"s3://models/a/b?endpoint={S3}": S3Location("models", "a/b", "a/b/", S3),
    # by the dashboard: the query is encoded, the path is not
    "s3://models/a b/%41?endpoint=https%3A%2F%2Fs3.example.com&defaultRegion=": S3Location(
        "models", "a b/%41", "a b/%41/", S3
    ),
    "s3://models/a+b?endpoint=a+b": S3Location("models", "a+b", "a+b/", "a+b"),
    "s3://models/été/模型": S3Location("models", "été/模型", "été/模型/"),
    "S3://models//a": S3Location("models", "a", "a/"),
    "s3://models/a//b": S3Location("models", "a//b", "a//b/"),
    "s3://models/a/": S3Location("models", None, "a/"),
    "s3://models": S3Location("models", None, ""),
    "s3://models/?endpoint=": S3Location("models", None, ""),
    "https://Models.example.com/a%20b.onnx?v=1": HttpLocation("https", "models.example.com", 443, "/a%20b.onnx?v=1"),
    "http://[::1]:8080": HttpLocation("http", "[::1]", 8080, "/"),
    "http://2130706433/x": HttpLocation("http", "2130706433", 80, "/x"),
    "oci://quay.io/team/model:v1": OciLocation("quay.io", 443, "team/model", "v1"),
    "oci://quay.io:8443/model": OciLocation("quay.io", 8443, "model", "latest"),
    "oci+native://localhost/a/b:1": OciLocation("localhost", 443, "a/b", "1"),
    "oci://team/model": OciLocation("registry-1.docker.io", 443, "team/model", "latest"),
    "oci://docker.io/library/model:2": OciLocation("registry-1.docker.io", 443, "library/model", "2"),
    f"oci://quay.io/m:v1@sha256:{'a' * 64}": OciLocation("quay.io", 443, "m", f"sha256:{'a' * 64}"),
    "file:///mnt//models/a/": FileLocation("file:///mnt/models/a"),
    "file://localhost/mnt/a%20b": FileLocation("file:///mnt/a%20b"),
    "pvc://claim-1/a/b": FileLocation("pvc://claim-1/a/b"),
}
UNSUPPORTED = [
    "hf://org/model",
    "gs://bucket/x",
    "hdfs://n/x",
    "model-registry://m/1",
    "gopher://127.0.0.1/",
    "https://account.blob.core.windows.net/container/x",
    "https://example.com/models.git",
]
MALFORMED = [
    "",
    "models/a",
    "/etc/passwd",
    "s3:/models/a",
    "s3:models/a",
    "s3://",
    "s3:///a",
    "s3://user:secret@models/a",
    "s3://models:9000/a",
    "s3://models/a/../../other/b",
    "s3://models/./a",
    "s3://models/a#b",
    "s3://models/what?ever",
    "s3://models/a?endpoint=x?y=1&z",
    "s3://models/a?endpoint=a&endpoint=b",
    "s3://models/a?endpoint=%FF",
    "s3://models/a\nb",
    "s3://models/a\x00",
    "s3://models/\udcff",
    "s3://models/" + "x" * 1025,
    "http://user@example.com/",
    "http://user:pw@example.com/",
    "http://example.com\\@evil.example/",
    "http://example.com /x",
    "http://example.com/a b",
    "http://example.com/%zz",
    "http://example.com/é",
    "http://example.com/../x",
    "http://example.com?x",
    "http://example.com/#@evil.example/",
    "http:///x",
    "http://exämple.com/",
    "http://example.com:99999999/",
    "oci://quay.io/UPPER",
    "oci://quay.io/../x",
    "oci://user:pw@quay.io/x",
    "oci://quay.io/x?y",
    "oci://quay.io/x:bad tag",
    "oci://quay.io/x@sha256:zz",
    "oci://",
    "file://other/etc/passwd",
    "file:///mnt/../etc/passwd",
    "file://",
    "pvc://../etc",
    "pvc://Claim/a",
    "pvc:///a",
]


@pytest.mark.parametrize("uri", UNDERSTOOD)
def test_uri_is_understood(uri: str) -> None:
    assert parse(uri) == UNDERSTOOD[uri]


@pytest.mark.parametrize("uri", UNSUPPORTED)
def test_uri_of_another_kind_is_unsupported(uri: str) -> None:
    assert isinstance(parse(uri), Unsupported)


@pytest.mark.parametrize("uri", MALFORMED)
def test_uri_that_names_no_place_is_malformed_with_the_reason(uri: str) -> None:
    location = parse(uri)
    assert isinstance(location, Malformed)
    assert location.reason


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Z", "Cc"])))
def test_any_text_is_parsed(text: str) -> None:
    for uri in (text, f"s3://{text}", f"s3://models/{text}", f"https://{text}", f"oci://{text}", f"file:///{text}"):
        location = parse(uri)
        if isinstance(location, S3Location):
            assert ".." not in (location.key or location.folder).split("/")
        if isinstance(location, FileLocation):
            assert ".." not in location.uri.split("/")


def test_data_connection_counts_where_there_is_no_uri() -> None:
    assert locate(None, "aws-connection", "/models/a") == ConnectionLocation("aws-connection", "models/a")
    assert locate("s3://models/b", "aws-connection", "a") == S3Location("models", "b", "b/")
    assert isinstance(locate("", "aws-connection", None), Malformed)
    assert isinstance(locate("", "aws-connection", "../x"), Malformed)
