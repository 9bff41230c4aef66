"""An S3 server that does nothing but list and HEAD keys from memory, and may wait before each answer.

The real servers of the sandbox are slower than any client at a hundred thousand keys: what would be measured is them.
This one runs in a process of its own: `python -m benchmarks.listing_server KEYS DELAY_MS` prints its port.
"""

import asyncio
import sys
from bisect import bisect_right
from urllib.parse import SplitResult, parse_qs, urlsplit

_MODIFIED = "2026-01-01T00:00:00.000Z"
_HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nETag: "0"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n'
_ABSENT = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def keys(count: int) -> list[str]:
    """Two files for each model, as many models as fit into `count`."""
    return [f"models/model-{number // 2:07}/1/model.{'xml' if number % 2 else 'bin'}" for number in range(count)]


class ListingServer:
    """Keys of one bucket, answered over HTTP/1.1 with connections that stay open."""

    def __init__(self, names: list[str], delay_seconds: float) -> None:
        self._names = names
        self._there = set(names)
        self._delay = delay_seconds

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it is closed."""
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                method, target, _ = request.split(b" ", 2)
                await asyncio.sleep(self._delay)
                writer.write(self._answer(method, urlsplit(target.decode())).encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, method: bytes, target: SplitResult) -> str:
        if method == b"HEAD":
            return _HEAD if target.path.partition("/")[2].partition("/")[2] in self._there else _ABSENT
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        prefix, limit = query.get("prefix", ""), int(query.get("max-keys", "1000"))
        start = bisect_right(self._names, max(query.get("start-after", ""), prefix[:-1]))
        page = self._names[start : start + limit + 1]
        page = [name for name in page if name.startswith(prefix)]
        listed = "".join(
            f"<Contents><Key>{name}</Key><LastModified>{_MODIFIED}</LastModified><ETag>&quot;0&quot;</ETag>"
            "<Size>7</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for name in page[:limit]
        )
        truncated = len(page) > limit
        body = (
            f"<ListBucketResult><EncodingType>url</EncodingType><KeyCount>{min(len(page), limit)}</KeyCount>"
            f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{listed}</ListBucketResult>"
        )
        return f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n{body}"


async def _main(count: int, delay_ms: float) -> None:
    server = await asyncio.start_server(ListingServer(keys(count), delay_ms / 1000).serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2])))
