"""Throw-away real servers for the tests, the demo and the benchmarks. Not part of the wheel."""


class UnavailableSandboxError(Exception):
    """A server cannot be had on this machine; the message says what was tried."""
