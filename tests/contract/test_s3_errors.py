"""Every foreign error that matters becomes one of opskit's own."""

import pytest
from botocore import exceptions as botocore_errors
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import ProtocolError

from opskit.errors import (
    ConfigurationError,
    DeniedError,
    NoSpaceError,
    NotFoundError,
    OpskitError,
    UnavailableError,
)
from opskit.storage import Storage
from opskit.storage.s3_errors import translated
from sandbox.s3 import S3Server
from tests.contract.conftest import open_bucket
from tests.wire import answer, recorded, refused

ANSWERS = [
    (404, "NoSuchKey", NotFoundError),
    (404, "NoSuchBucket", ConfigurationError),
    (400, "InvalidBucketName", ConfigurationError),
    (400, "AuthorizationHeaderMalformed", ConfigurationError),
    (400, "IllegalLocationConstraintException", ConfigurationError),
    (403, "RequestTimeTooSkewed", ConfigurationError),
    (403, "InvalidObjectState", ConfigurationError),
    (400, "KeyTooLongError", ConfigurationError),
    (400, "InvalidArgument", ConfigurationError),
    (405, "MethodNotAllowed", ConfigurationError),
    (501, "NotImplemented", ConfigurationError),
    (403, "AccessDenied", DeniedError),
    (403, "InvalidAccessKeyId", DeniedError),
    (403, "SignatureDoesNotMatch", DeniedError),
    (403, "AllAccessDisabled", DeniedError),
    (400, "ExpiredToken", DeniedError),
    (400, "InvalidToken", DeniedError),
    (401, "Unauthorized", DeniedError),
    (403, "QuotaExceeded", NoSpaceError),
    (507, "XMinioStorageFull", NoSpaceError),
    (400, "XMinioAdminBucketQuotaExceeded", NoSpaceError),
    (507, "AnyOther", NoSpaceError),
    (500, "InternalError", UnavailableError),
    (503, "SlowDown", UnavailableError),
    (503, "ServiceUnavailable", UnavailableError),
    (429, "TooManyRequests", UnavailableError),
    (400, "RequestTimeout", UnavailableError),
    (400, "BadDigest", UnavailableError),
    (409, "OperationAborted", UnavailableError),
    (404, "NoSuchUpload", UnavailableError),
]
# An answer to HEAD has no body, and therefore no code.
BARE_ANSWERS = [
    (400, ConfigurationError),
    (401, DeniedError),
    (403, DeniedError),
    (404, NotFoundError),
    (500, UnavailableError),
    (503, UnavailableError),
    (507, NoSpaceError),
]
EXCEPTIONS = [
    (botocore_errors.NoCredentialsError(), DeniedError),
    (botocore_errors.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), DeniedError),
    (botocore_errors.CredentialRetrievalError(provider="process", error_msg="no"), DeniedError),
    (botocore_errors.MetadataRetrievalError(error_msg="no"), DeniedError),
    (botocore_errors.TokenRetrievalError(provider="sso", error_msg="no"), DeniedError),
    (botocore_errors.UnauthorizedSSOTokenError(), DeniedError),
    (botocore_errors.EndpointConnectionError(endpoint_url="http://s3"), UnavailableError),
    (botocore_errors.ConnectTimeoutError(endpoint_url="http://s3"), UnavailableError),
    (botocore_errors.ReadTimeoutError(endpoint_url="http://s3"), UnavailableError),
    (botocore_errors.ConnectionClosedError(endpoint_url="http://s3"), UnavailableError),
    (botocore_errors.ProxyConnectionError(proxy_url="http://proxy"), UnavailableError),
    (botocore_errors.ResponseStreamingError(error="reset"), UnavailableError),
    (botocore_errors.IncompleteReadError(actual_bytes=1, expected_bytes=2), UnavailableError),
    (botocore_errors.HTTPClientError(error="reset"), UnavailableError),
    (
        botocore_errors.SSLError(endpoint_url="https://s3", error=Exception("UNEXPECTED_EOF_WHILE_READING")),
        UnavailableError,
    ),
    (ProtocolError("reset"), UnavailableError),
    (ResponseParserError("no XML"), UnavailableError),
    (
        botocore_errors.SSLError(endpoint_url="https://s3", error=Exception("CERTIFICATE_VERIFY_FAILED")),
        ConfigurationError,
    ),
    (botocore_errors.ParamValidationError(report="Invalid bucket name"), ConfigurationError),
    (botocore_errors.ProfileNotFound(profile="backup"), ConfigurationError),
    (botocore_errors.NoRegionError(), ConfigurationError),
    (botocore_errors.InvalidRegionError(region_name="a b"), ConfigurationError),
]


def content(storage: Storage, key: str) -> bytes:
    return b"".join(storage.get(key))


@pytest.mark.s3
@pytest.mark.parametrize(("status", "code", "expected"), ANSWERS, ids=str)
def test_answers_are_translated(moto: S3Server, status: int, code: str, expected: type[OpskitError]) -> None:
    with recorded(moto.service.port) as wire:
        wire.answering = lambda *_: refused(status, code)
        storage = open_bucket(moto, "bucket", "prefix", endpoint=wire.endpoint)
        with pytest.raises(expected, match=f"s3://bucket/prefix/key: the store answered {code}") as caught:
            content(storage, "key")
    assert type(caught.value) is expected
    assert "as a test wants" in caught.value.message
    assert ("only prune deletes" in str(caught.value.hint)) is (
        code in ("AccessDenied", "AllAccessDisabled", "Unauthorized")
    )


@pytest.mark.s3
@pytest.mark.parametrize(("status", "expected"), BARE_ANSWERS)
def test_answers_without_a_body_are_translated(moto: S3Server, status: int, expected: type[OpskitError]) -> None:
    with recorded(moto.service.port) as wire:
        wire.answering = lambda request, _: answer(200 if request.path == "/bucket" else status)
        storage = open_bucket(moto, "bucket", "prefix", endpoint=wire.endpoint)
        with pytest.raises(expected, match=f"s3://bucket/prefix/key: the store answered {status}") as caught:
            storage.stat("key")
    assert type(caught.value) is expected
    assert ("without the right to list" in str(caught.value.hint)) is (expected is DeniedError)


@pytest.mark.s3
@pytest.mark.parametrize("status", [301, 302, 307])
def test_endpoint_that_redirects_is_a_wrong_configuration(moto: S3Server, status: int) -> None:
    with recorded(moto.service.port) as wire:
        wire.answering = lambda *_: answer(status, Location="https://127.0.0.1/")
        storage = open_bucket(moto, "bucket", "prefix", endpoint=wire.endpoint)
        for call in (lambda: content(storage, "key"), lambda: storage.stat("key"), lambda: storage.put("key", [b"x"])):
            with pytest.raises(ConfigurationError) as caught:
                call()
            assert "endpoint_url" in str(caught.value.hint)


@pytest.mark.parametrize(("error", "expected"), EXCEPTIONS, ids=lambda each: str(getattr(each, "__name__", each))[:40])
def test_exceptions_are_translated(error: Exception, expected: type[OpskitError]) -> None:
    with pytest.raises(expected, match=r"^cannot read: ") as caught, translated("cannot read"):
        raise error
    assert type(caught.value) is expected
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", DeniedError),
        (400, "InvalidIdentityToken", DeniedError),
        (400, "ExpiredTokenException", DeniedError),
        (503, "ServiceUnavailable", UnavailableError),
    ],
)
def test_role_that_cannot_be_assumed_is_denied(status: int, code: str, expected: type[OpskitError]) -> None:
    refusal = ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # the rest is not read
        "AssumeRoleWithWebIdentity",
    )
    with pytest.raises(expected) as caught, translated("cannot read"):
        raise refusal
    assert ("service account" in str(caught.value.hint)) is (expected is DeniedError)


def test_what_a_store_says_is_one_line_of_bounded_length() -> None:
    refusal = ClientError({"Error": {"Code": "InternalError", "Message": "line\n\tline\r\n" * 1000}}, "GetObject")
    with pytest.raises(UnavailableError) as caught, translated("cannot read"):
        raise refusal
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400
