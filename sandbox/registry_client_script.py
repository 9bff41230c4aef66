"""Registers models by the registry's own client: `registry_client_script.py PORT`, the models as JSON on stdin."""

import json
import sys
from importlib import import_module
from typing import Any

# Not imported by statement: the client has an event loop patched as it is imported, which is for this process alone.
client: Any = import_module("model_registry")

if __name__ == "__main__":
    registry = client.ModelRegistry("http://127.0.0.1", int(sys.argv[1]), author="opskit", is_secure=False)
    for model in json.load(sys.stdin):
        registry.register_model(**model)
