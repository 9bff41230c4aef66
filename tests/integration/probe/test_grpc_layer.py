"""The gRPC service, spoken by grpcio's own server over a true socket."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from opskit.probe.grpc import METHOD, check
from opskit.probe.mysql import is_embedmd
from opskit.probe.result import CheckResult, State
from sandbox.mlmd import Library
from sandbox.server import OwnServer
from tests.integration.probe.conftest import MARGIN_SECONDS, Database, result_of

Answer = Callable[[bytes, grpc.ServicerContext], bytes]


def context_type(name: str) -> bytes:
    """A GetContextTypesResponse with one type: field 1, whose field 2 is the name."""
    inner = b"\x12" + bytes([len(name)]) + name.encode()
    return b"\x0a" + bytes([len(inner)]) + inner


@contextmanager
def grpc_server(answer: Answer, method: str = METHOD) -> Iterator[str]:
    class Handler(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
            return grpc.unary_unary_rpc_method_handler(answer) if details.method == method else None

    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads, handlers=[Handler()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


def probed(address: str, *, embedmd: bool = False, deadline: float = 30) -> CheckResult:
    return result_of(
        lambda: check(address, timeout=min(deadline, MARGIN_SECONDS), is_embedmd=lambda: embedmd),
        layer="grpc",
        deadline=deadline + 10,
    )


def failing(code: grpc.StatusCode, details: str) -> Answer:
    def answer(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(code, details)
        raise AssertionError

    return answer


def test_registry_is_ok_and_was_asked_with_an_empty_body() -> None:
    asked = []

    def answer(request: bytes, _context: grpc.ServicerContext) -> bytes:
        asked.append(request)
        return context_type("kf.RegisteredModel")

    with grpc_server(answer) as address:
        result = probed(address)
    assert result.state is State.OK
    assert asked == [b""]


def test_ml_metadata_without_the_registry_s_types_is_critical() -> None:
    with grpc_server(lambda _request, _context: context_type("kfp.Pipeline")) as address:
        result = probed(address)
    assert result.state is State.CRITICAL
    assert "does not know kf.RegisteredModel" in result.detail


@pytest.mark.parametrize(
    ("code", "details", "words"),
    [
        (
            grpc.StatusCode.INTERNAL,
            "mysql_real_connect failed: errno: 2002",
            "cannot use its database (INTERNAL: mysql",
        ),
        (grpc.StatusCode.ABORTED, "deadlock", "does not answer (ABORTED: deadlock)"),
    ],
)
def test_failure_of_ml_metadata_is_critical(code: grpc.StatusCode, details: str, words: str) -> None:
    with grpc_server(failing(code, details)) as address:
        result = probed(address)
    assert result.state is State.CRITICAL
    assert words in result.detail


def test_another_grpc_server_is_told_apart() -> None:
    with grpc_server(lambda _request, _context: b"", method="/grpc.health.v1.Health/Check") as address:
        result = probed(address)
    assert result.state is State.CRITICAL
    assert "without ML Metadata (UNIMPLEMENTED" in result.detail


def test_nobody_there_is_critical() -> None:
    with grpc_server(lambda _request, _context: b"") as address:
        pass
    result = probed(address)
    assert result.state is State.CRITICAL
    assert "no gRPC server answers (UNAVAILABLE" in result.detail


def test_nobody_there_is_not_applicable_from_2_23_on() -> None:
    with grpc_server(lambda _request, _context: b"") as address:
        pass
    assert probed(address, embedmd=True).state is State.NOT_APPLICABLE


def test_hang_is_critical(request: pytest.FixtureRequest) -> None:
    release = threading.Event()
    request.addfinalizer(release.set)

    def hang(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        release.wait()
        return b""

    with grpc_server(hang) as address:
        result = probed(address, deadline=0.3)
        release.set()
    assert result.state is State.CRITICAL
    assert "DEADLINE_EXCEEDED" in result.detail


@pytest.mark.mysql
def test_database_tells_whether_a_grpc_server_is_expected(registry: Database) -> None:
    assert is_embedmd(registry.endpoint(), registry.name)
    registry.execute("DROP TABLE schema_migrations")
    assert not is_embedmd(registry.endpoint(), registry.name)
    assert not is_embedmd(registry.endpoint(password="wrong-password"), registry.name)


@pytest.mark.mlmd
@pytest.mark.mariadb
def test_ml_metadata_itself_is_probed_broken_and_probed_again(
    mlmd: Library, own_mariadb: Callable[..., OwnServer]
) -> None:
    server = own_mariadb()
    server.execute("CREATE DATABASE registry")
    mlmd.write(server, "registry")
    with mlmd.grpc_service(server, "registry") as service:
        address = f"127.0.0.1:{service.port}"
        assert probed(address).state is State.OK
        server.stop()
        broken = probed(address)
        assert broken.state is State.CRITICAL
        assert "cannot use its database (INTERNAL: mysql_real_connect failed" in broken.detail
        server.start()
        assert probed(address).state is State.OK
        service.stop(signal.SIGKILL)
        assert "no gRPC server answers" in probed(address).detail
