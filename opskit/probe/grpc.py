"""The gRPC service of ML Metadata, which RHOAI has up to 2.22.

It offers neither grpc.health.v1 nor reflection. An empty GetContextTypes opens a database connection of its own, so
its answer proves the database as well (ml-metadata, metadata_store_service_impl.cc).
"""

from collections.abc import Callable, Iterator

import grpc

from opskit.probe.result import Finding, State

METHOD = "/ml_metadata.MetadataStoreService/GetContextTypes"
REGISTERED_MODEL = b"kf.RegisteredModel"


def check(address: str, *, timeout: float, is_embedmd: Callable[[], bool]) -> Iterator[Finding]:
    """Ask for the context types; where nobody listens, `is_embedmd` tells whether anybody should."""
    options = [("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        try:
            ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
            reply = ask(b"", timeout=timeout)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE and is_embedmd():
                yield Finding(State.NOT_APPLICABLE, "the registry is EmbedMD: from RHOAI 2.23 on there is no gRPC")
            else:
                yield _failure(error.code(), error.details() or "")
            return
    if REGISTERED_MODEL in reply:
        yield Finding(State.OK, "ML Metadata knows kf.RegisteredModel")
    else:
        yield Finding(
            State.CRITICAL,
            "ML Metadata answers, but does not know kf.RegisteredModel",
            "no registry has ever started on its database",
        )


def _failure(code: grpc.StatusCode, details: str) -> Finding:
    said = f"{code.name}: {details}" if details else code.name
    if code is grpc.StatusCode.UNAVAILABLE:
        return Finding(State.CRITICAL, f"no gRPC server answers ({said})", "look at the container grpc-container")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Finding(State.CRITICAL, f"a gRPC server without ML Metadata ({said})", "look at the configured address")
    if code is grpc.StatusCode.INTERNAL:
        return Finding(State.CRITICAL, f"ML Metadata cannot use its database ({said})", "look at the layer mysql")
    return Finding(State.CRITICAL, f"ML Metadata does not answer ({said})")
