import subprocess
import sys
from pathlib import Path

import pytest

from opskit.errors import ConfigurationError
from opskit.storage.opening import open_storage


@pytest.mark.parametrize(
    "url", ["./backups", "backups", "{folder}/backups", "file://{folder}/back%75ps", "FILE://{folder}/backups"]
)
def test_paths_and_file_urls_are_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.chdir(tmp_path)
    storage = open_storage(url.format(folder=tmp_path))
    storage.put("key", [b"x"])
    assert (tmp_path / "backups" / "key").read_bytes() == b"x"
    assert storage.url == (tmp_path / "backups").as_uri()


def test_file_url_of_a_storage_opens_it_again(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path / "100% ü?#"))
    storage.put("key", [b"x"])
    assert [each.key for each in open_storage(storage.url).list()] == ["key"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3://bucket/a%41 ü", "s3://bucket/a%41 ü"),
        ("S3://Old_Bucket.x/a", "s3://Old_Bucket.x/a"),
    ],
)
def test_s3_urls_are_buckets_and_prefixes(url: str, expected: str) -> None:
    assert open_storage(url, endpoint_url="http://127.0.0.1:1").url == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gs://bucket/prefix",
        "https://user:secret@s3.example.com/bucket",
        "s3:bucket",
        "s3://",
        "s3:///prefix",
        "s3://user:secret@bucket/prefix",
        "s3://bucket:443/prefix",
        "s3://bucket//prefix",
        "s3://bucket/a//b",
        "s3://bucket/../other",
        "s3://bucket/a\\b",
        "s3://bucket/prefix?secret=1",
        "s3://bucket/prefix#secret",
        "s3://[secret",
        "file:backups",
        "file:/backups",
        "file://host/backups",
        "file:///backups?secret",
        "file:///back%00ups",
        "back\0ups",
    ],
)
def test_other_urls_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot use the storage URL") as caught:
        open_storage(url)
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("endpoint", ["s3.example.com", "not a url", "http://", "https://s3 .example.com", "ftp//x"])
def test_endpoint_that_is_no_url_is_a_wrong_configuration(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot use S3"):
        open_storage("s3://bucket", endpoint_url=endpoint)


def test_profile_that_does_not_exist_is_a_wrong_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "there-is-no-such-profile")
    with pytest.raises(ConfigurationError, match="there-is-no-such-profile"):
        open_storage("s3://bucket")


def test_region_that_is_none_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigurationError):
        open_storage("s3://bucket", region="no region").stat("key")


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_ca_file_that_cannot_be_read_is_a_wrong_configuration(tmp_path: Path, content: str | None) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_text(content)
    with pytest.raises(ConfigurationError, match=str(ca_file)) as caught:
        open_storage("s3://bucket", ca_file=ca_file)
    assert "PEM" in str(caught.value.hint)


def test_boto3_is_imported_only_for_s3() -> None:
    program = """if True:
        import sys
        from opskit.storage.opening import open_storage
        open_storage("./backups")
        assert not {"boto3", "botocore", "urllib3"} & set(sys.modules)
        open_storage("s3://bucket", region="us-east-1")
        assert "boto3" in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True)
