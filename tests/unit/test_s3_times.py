"""Times as stores write them are what botocore would have read."""

import pytest
from botocore.utils import parse_timestamp

from opskit.storage.s3_client import connect_s3


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T05:23:00.000Z",
        "2026-11-24T05:23:00Z",
        "2026-11-24T05:23:00.123456+02:00",
        "Tue, 24 Nov 2026 05:23:00 GMT",
        "2026-11-24 05:23:00",
        "20261124T052300Z",
        "1763961780",
        1763961780,
        1763961780.5,
    ],
)
def test_time_is_read_as_botocore_reads_it(text: str | float) -> None:
    client = connect_s3(endpoint_url="http://127.0.0.1:1", region="us-east-1")
    read = client._response_parser._timestamp_parser  # type: ignore[attr-defined] # what listings are read with
    assert read(text) == parse_timestamp(text)  # type: ignore[arg-type] # numbers too
