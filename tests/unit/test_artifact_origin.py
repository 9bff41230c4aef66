"""Which server a URL means, whatever way it is written, and where a redirect may lead."""

import pytest

from opskit.artifacts.addresses import ForbiddenAddressError
from opskit.artifacts.hosts import Host, Hosts, _next
from opskit.artifacts.origin import Origin, make_origin, origin_of
from opskit.artifacts.stores import Store
from opskit.artifacts.uri import S3Location
from opskit.errors import ConfigurationError

HTTPS = Origin("https", "s3.example.com", 443)


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.example.com",
        "https://s3.example.com/",
        "https://s3.example.com:443",
        "HTTPS://S3.Example.COM",
        "https://s3.example.com.",
    ],
)
def test_one_server_has_one_origin(url: str) -> None:
    assert origin_of(url) == HTTPS


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3.example.com",
        "ftp://s3.example.com",
        "https://",
        "https://user@s3.example.com",
        "https://s3.example.com/path",
        "https://s3.example.com?x",
        "https://s3.example.com#x",
        "https://s3.example.com\\.evil.example",
        "https://s3.example.com evil",
        "https://s3.exämple.com",
        "https://s3.example.com:port",
        "https://s3.example.com:99999",
        "https://[::1",
        "https://-s3.example.com",
        "https://s3.example.com\n",
    ],
)
def test_what_is_not_plainly_a_server_is_none(url: str) -> None:
    assert origin_of(url) is None


def test_addresses_are_compared_in_one_form() -> None:
    assert origin_of("http://[0:0::1]:80") == make_origin("http", "::1") == Origin("http", "[::1]", 80)


@pytest.mark.parametrize(
    ("host", "covered"),
    [("cdn.example.com", True), ("a.b.example.com", True), ("example.com", False), ("badexample.com", False)],
)
def test_wildcard_covers_what_lies_below_its_domain(host: str, *, covered: bool) -> None:
    assert Origin("https", "*.example.com", 443).covers(Origin("https", host, 443)) is covered
    assert not Origin("https", "*.example.com", 443).covers(Origin("http", host, 443))
    assert not Origin("https", "*.example.com", 443).covers(Origin("https", host, 8443))


@pytest.mark.parametrize(
    ("endpoint", "is_ours"),
    [
        ("https://s3.amazonaws.com", True),
        ("https://s3.eu-west-1.amazonaws.com", True),
        ("https://s3.dualstack.eu-west-1.amazonaws.com", True),
        ("https://s3-eu-west-1.amazonaws.com", True),
        ("http://s3.amazonaws.com", False),
        ("https://s3.amazonaws.com.evil.example", False),
        ("https://evil.amazonaws.com", False),
        ("https://ec2.eu-west-1.amazonaws.com", False),
    ],
)
def test_amazon_s_endpoints_are_those_of_a_store_without_one(endpoint: str, *, is_ours: bool) -> None:
    assert Store().holds(S3Location("models", "a", "a/", endpoint)) is is_ours


def test_alias_counts_as_it_is_written_in_uris() -> None:
    store = Store(endpoint="https://s3.example.com", aliases=("s3.internal:9000",))
    assert store.is_at("s3.internal:9000")
    assert not store.is_at("https://s3.internal:9000")


@pytest.mark.parametrize("to", ["http://s3.example.com/x", "ftp://s3.example.com/", "https://user@s3.example.com/"])
def test_redirect_neither_leaves_tls_nor_leads_to_what_is_no_plain_url(to: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        _next(HTTPS, "/x", to)


@pytest.mark.parametrize(("to", "target"), [("/y", "/y"), ("y", "/a/y"), ("https://s3.example.com/z?q=1", "/z?q=1")])
def test_redirect_may_be_relative(to: str, target: str) -> None:
    assert _next(HTTPS, "/a/x", to) == (HTTPS, target)


def test_host_with_a_path_is_no_host() -> None:
    with pytest.raises(ConfigurationError):
        Hosts([Host("https://example.com/path")])
