"""The gRPC service of ml-metadata over its own store, as the registry has it up to RHOAI 2.22.

Runs in the environment made by `sandbox.mlmd`: `mlmd_server.py PORT CONNECTION`, where CONNECTION is a file with the
database as JSON. The wheel has no server program; servicer, messages and store are its own. As in the server, the store
connects anew for each call.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

# Not imported by statement: what checks this file does not have these packages.
grpc: Any = import_module("grpc")
errors: Any = import_module("ml_metadata.errors")
metadata_store: Any = import_module("ml_metadata.metadata_store")
mlpb: Any = import_module("ml_metadata.proto.metadata_store_pb2")
messages: Any = import_module("ml_metadata.proto.metadata_store_service_pb2")
services: Any = import_module("ml_metadata.proto.metadata_store_service_pb2_grpc")


def service(connection: dict[str, Any]) -> Any:  # noqa: ANN401 - generated code has no types
    """Return a servicer that knows the one call that a probe makes; all others are unimplemented."""
    configuration = mlpb.ConnectionConfig()
    for name, value in connection.items():
        setattr(configuration.mysql, name, value)
    servicer = services.MetadataStoreServiceServicer()

    def get_context_types(_request: Any, context: Any) -> Any:  # noqa: ANN401 - the same
        try:
            found = metadata_store.MetadataStore(configuration).get_context_types()
        except (errors.StatusError, RuntimeError) as error:
            context.abort(grpc.StatusCode.INTERNAL, str(error))
        return messages.GetContextTypesResponse(context_types=found)

    servicer.GetContextTypes = get_context_types
    return servicer


if __name__ == "__main__":
    port, file = sys.argv[1:]
    server = grpc.server(ThreadPoolExecutor(2))
    services.add_MetadataStoreServiceServicer_to_server(service(json.loads(Path(file).read_text())), server)
    if server.add_insecure_port(f"127.0.0.1:{port}") == 0:
        sys.exit("Address already in use")
    server.start()
    server.wait_for_termination()
