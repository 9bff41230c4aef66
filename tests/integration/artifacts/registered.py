"""Pointers as a registry's database has them, without one."""

from opskit.registry.inventory import Pointer


def registered(artifact_id: int, uri: str, *, format_name: str = "", **changed: object) -> Pointer:
    known = {
        "artifact_id": artifact_id,
        "type": "kf.ModelArtifact",
        "name": "model",
        "uri": uri,
        "storage_key": "",
        "storage_path": "",
        "format": format_name,
        "state": "LIVE",
        "updated": 1,
        "version": "v1",
        "version_state": "LIVE",
        "model": f"model {artifact_id}",
        "model_state": "LIVE",
    }
    return Pointer(**{**known, **changed})  # type: ignore[arg-type] # as the test wants it
