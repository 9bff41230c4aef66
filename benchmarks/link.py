"""A link on which everything takes a while: each byte is passed on, and comes out later.

`python -m benchmarks.link PORT DELAY_MS` prints the port that leads to PORT of this machine. `tc netem` delays packets
and needs root and a kernel that was built with it; this delays what is in them and needs neither. Only the handshake
of TCP itself is not delayed.
"""

import asyncio
import contextlib
import sys

PIECE_BYTES = 64 * 1024
# On the way at most, in each direction: 4 MiB, as a window of TCP that is no bottleneck at 20 ms.
PIECES = 64


class Link:
    """Leads to a local port, `delay` seconds away in each direction."""

    def __init__(self, port: int, delay: float) -> None:
        self._port = port
        self._delay = delay

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until both sides have closed it."""
        beyond_reader, beyond_writer = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._carry(reader, beyond_writer), self._carry(beyond_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES)
        await asyncio.gather(self._send(reader, pieces), _receive(pieces, writer))

    async def _send(self, reader: asyncio.StreamReader, pieces: asyncio.Queue[tuple[float, bytes]]) -> None:
        piece = b"something"
        while piece:
            try:
                piece = await reader.read(PIECE_BYTES)
            except ConnectionError:
                piece = b""
            await pieces.put((asyncio.get_running_loop().time() + self._delay, piece))


async def _receive(pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    """Write each piece when it is due, until an empty one ends the connection; a reader that went away loses them."""
    piece = b"something"
    while piece:
        due, piece = await pieces.get()
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        with contextlib.suppress(ConnectionError):
            writer.write(piece)
            await writer.drain()
    writer.close()


async def _main(port: int, delay_ms: float) -> None:
    server = await asyncio.start_server(Link(port, delay_ms / 1000).connect, "127.0.0.1", 0, limit=PIECE_BYTES)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2])))
