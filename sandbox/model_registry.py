"""The registry's own server, 0.2.22 (between RHOAI 2.23 and 2.24): REST over the schema that it makes (EmbedMD).

Built from the Go module proxy once, then cached. That gives neither 0.2.20 nor the description of the API that belongs
to 0.2.22: the one of 0.3.2 takes its place.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.cache import cached
from sandbox.golang import build_tools
from sandbox.process import Service, answers, scratch
from sandbox.server import Server

SCRIPT = Path(__file__).with_name("registry_client_script.py")
MODULE = Path(__file__).with_name("registry_server")
VERSION = "0.2.22"
BUILD_SECONDS = 900
_SECONDS = 60


@dataclass(frozen=True)
class ModelRegistry:
    """A running server."""

    service: Service

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.service.port}"

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return what it has at a path of the API, such as `registered_models`."""
        address = f"{self.url}/api/model_registry/v1alpha3/{path}"
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310 - the address above
            return json.load(answer)

    def register(self, *models: Mapping[str, object]) -> None:
        """Register models by the registry's own Python client, each with what its `register_model` takes."""
        done = subprocess.run(
            [sys.executable, "-I", str(SCRIPT), str(self.service.port)],
            input=json.dumps(models),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def model_registry(server: Server, database: str) -> Iterator[ModelRegistry]:
    """Run it over a database of a MySQL, an empty one too."""
    program = cached(f"model-registry-{VERSION}-{os.uname().machine}", _build) / "model-registry"
    source = f"{server.user}:{server.password}@tcp({server.host}:{server.port})/{database}?charset=utf8mb4"
    options = ["--hostname=127.0.0.1", "--logtostderr", "--datastore-type=embedmd", f"--embedmd-database-dsn={source}"]
    with scratch("model-registry") as place:
        yield ModelRegistry(Service(place, lambda port: [str(program), "proxy", f"--port={port}", *options], answers))


def _build(folder: Path) -> None:
    build_tools(MODULE, folder, seconds=BUILD_SECONDS)
