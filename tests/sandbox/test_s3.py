import signal
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from sandbox.s3 import S3Server, rclone_server

pytestmark = pytest.mark.s3


@pytest.fixture(params=["rclone", "moto"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


def test_object_comes_back(server: S3Server, bucket_name: str) -> None:
    client = server.client()
    server.make_bucket(bucket_name)
    client.put_object(Bucket=bucket_name, Key="folder/key", Body=b"bytes")
    assert client.get_object(Bucket=bucket_name, Key="folder/key")["Body"].read() == b"bytes"
    listed = client.list_objects_v2(Bucket=bucket_name, Prefix="folder/")["Contents"]
    assert [each["Key"] for each in listed] == ["folder/key"]


def test_moto_refuses_to_overwrite_when_asked_to(moto: S3Server, bucket_name: str) -> None:
    client = moto.client()
    moto.make_bucket(bucket_name)
    client.put_object(Bucket=bucket_name, Key="key", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket_name, Key="key", Body=b"2", IfNoneMatch="*")


def test_rclone_refuses_wrong_credentials(rclone: S3Server) -> None:
    wrong = S3Server("rclone", rclone.service, secret_key="wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        wrong.client().list_buckets()


def test_rclone_keeps_objects_as_files(rclone: S3Server, bucket_name: str) -> None:
    rclone.make_bucket(bucket_name)
    rclone.client().put_object(Bucket=bucket_name, Key="a/b", Body=b"x")
    assert (rclone.folder / bucket_name / "a" / "b").read_bytes() == b"x"


def test_rclone_stopped_and_started_has_its_objects_and_its_port() -> None:
    with rclone_server(tls=True) as server:
        server.make_bucket("kept")
        server.service.stop(signal.SIGKILL)
        with pytest.raises(EndpointConnectionError):
            server.client().list_buckets()
        server.service.start()
        assert [each["Name"] for each in server.client().list_buckets()["Buckets"]] == ["kept"]
        assert isinstance(server.ca_file, Path)
