"""What S3 stores and botocore say, in the words of `opskit.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from opskit.errors import (
    ConfigurationError,
    DeniedError,
    NoSpaceError,
    NotFoundError,
    OpskitError,
    UnavailableError,
)

_Meaning = tuple[type[OpskitError], str | None]

_DENIED: _Meaning = (
    DeniedError,
    "the credentials need to list the bucket, and to get and put objects; only prune deletes any",
)
_WRONG_KEY: _Meaning = (DeniedError, "look at the access key and its secret, and at the session token if there is one")
_EXPIRED: _Meaning = (DeniedError, "get a fresh session token")
_BUCKET: _Meaning = (
    ConfigurationError,
    "look at the bucket's name and at endpoint_url; opskit does not make buckets",
)
_ENDPOINT: _Meaning = (ConfigurationError, "look at endpoint_url, region and path_style")
_FULL: _Meaning = (NoSpaceError, "make room in the store, or raise the quota")
_RETRY: _Meaning = (UnavailableError, None)
_UNREACHABLE: _Meaning = (UnavailableError, "look at endpoint_url, at the network, and whether the store runs")

# The code counts before the status: stores agree on codes more than on statuses, and each error in an answer
# to DeleteObjects has a code only. The codes are S3's (API reference, "Error responses"), save those for
# quotas, which are Ceph's and MinIO's.
_BY_CODE: dict[str, _Meaning] = {
    "NoSuchKey": (NotFoundError, None),
    "NoSuchBucket": _BUCKET,
    "InvalidBucketName": _BUCKET,
    "PermanentRedirect": _ENDPOINT,
    "AuthorizationHeaderMalformed": _ENDPOINT,
    "IllegalLocationConstraintException": _ENDPOINT,
    "RequestTimeTooSkewed": (ConfigurationError, "set the clock of this machine, or of the store"),
    "InvalidObjectState": (
        ConfigurationError,
        "a lifecycle rule archived the object; bring it back in the store first",
    ),
    "KeyTooLongError": (ConfigurationError, "shorten the prefix in the storage URL"),
    "AccessDenied": _DENIED,
    "InvalidAccessKeyId": _WRONG_KEY,
    "SignatureDoesNotMatch": _WRONG_KEY,
    "InvalidToken": _WRONG_KEY,
    "ExpiredToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "QuotaExceeded": _FULL,
    "InsufficientStorage": _FULL,
    "XMinioAdminBucketQuotaExceeded": _FULL,
    "XMinioStorageFull": _FULL,
    "BadDigest": (UnavailableError, "the body was damaged on its way"),
    "IncompleteBody": _RETRY,
    "NoSuchUpload": _RETRY,
    "RequestTimeout": _RETRY,
    "SlowDown": _RETRY,
}
_BY_STATUS: dict[int, _Meaning] = {
    401: _DENIED,
    403: _DENIED,
    404: (NotFoundError, None),
    408: _RETRY,
    409: _RETRY,
    429: _RETRY,
    501: _ENDPOINT,
    507: _FULL,
}

_NO_CREDENTIALS = (
    botocore_errors.NoCredentialsError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.NoAuthTokenError,
    botocore_errors.TokenRetrievalError,
    botocore_errors.MetadataRetrievalError,
    botocore_errors.SSOError,
)
_BROKEN_OFF = (
    botocore_errors.SSLError,
    botocore_errors.HTTPClientError,
    botocore_errors.IncompleteReadError,
    ResponseParserError,  # an answer that was cut, or a page by something that is no S3 store
    HTTPError,  # botocore wraps most of urllib3's errors while a body is read, but not all
)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise whatever boto3 raises as what it means for storage; `doing` starts the message: "cannot read …"."""
    try:
        yield
    except ClientError as error:
        raise _answered(error, doing) from error
    except (BotoCoreError, ResponseParserError, HTTPError) as error:
        kind, hint = _raised(error)
        raise kind(f"{doing}: {_one_line(str(error))}", hint=hint) from error
    except RecursionError as error:
        # botocore takes a redirect for a wrong region, and asks for the right one: by a request that is
        # redirected too, if this is http:// where https:// is wanted.
        kind, hint = _ENDPOINT
        raise kind(f"{doing}: the store redirects every request", hint=hint) from error


def status_of(error: ClientError) -> int:
    """Return the HTTP status of an answer."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def code_of(error: ClientError) -> str:
    """Return S3's code for an error, or the HTTP status where the answer has no body."""
    return error.response.get("Error", {}).get("Code", "")


def refusal(doing: str, code: str, message: str = "", status: int = 0) -> OpskitError:
    """Return the error that an answer of the store amounts to."""
    kind, hint = _BY_CODE.get(code) or _BY_STATUS.get(status) or (_ENDPOINT if 300 <= status < 500 else _RETRY)  # noqa: PLR2004 - HTTP's classes
    said = f"{code}, {_one_line(message)}" if message else code
    return kind(f"{doing}: the store answered {said}", hint=hint)


def _answered(error: ClientError, doing: str) -> OpskitError:
    message = error.response.get("Error", {}).get("Message", "")
    refused = refusal(doing, code_of(error), message, status_of(error))
    if error.operation_name.startswith("AssumeRole") and not isinstance(refused, UnavailableError):
        return DeniedError(refused.message, hint="look at the role, its trust policy and the service account")
    if error.operation_name == "HeadObject" and isinstance(refused, DeniedError):
        refused.hint = f"{refused.hint}; without the right to list, a missing object is 403 too"
    return refused


def _raised(error: Exception) -> _Meaning:
    if isinstance(error, _NO_CREDENTIALS):
        return DeniedError, "boto3 looks for them in AWS_ACCESS_KEY_ID, a profile, a web identity token or a role"
    if isinstance(error, botocore_errors.SSLError) and "EOF" not in str(error):
        return ConfigurationError, "give the certificate of the store's authority as ca_file"
    if isinstance(error, _BROKEN_OFF):
        return _RETRY
    if isinstance(error, botocore_errors.ConnectionError):
        return _UNREACHABLE
    return ConfigurationError, "look at the storage in the configuration, and at the AWS_… variables"


def _one_line(text: str) -> str:
    """Foreign text, fit for a message: no line breaks, and not too much of it."""
    return " ".join(text.split())[:300]
