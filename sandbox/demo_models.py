"""The bytes of the demo's models: there at first, and then not all of them."""

from sandbox.registry import Shape
from sandbox.s3 import S3Server
from sandbox.server import OwnServer

BUCKET = "models"
# What happens to which artifact, by its id.
DELETED = (11, 222, 333)
REPLACED = 444
MOVED = 555


def register(mysql: OwnServer, s3: S3Server, database: str, shape: Shape) -> None:
    """Have every artifact point to an OpenVINO model of its own, and put its files there."""
    uri = f"CONCAT('s3://{BUCKET}/models/model-', id, '?endpoint={s3.endpoint}&defaultRegion={s3.region}')"
    mysql.execute(
        f"UPDATE `{database}`.Artifact SET uri = {uri}",
        f"UPDATE `{database}`.ArtifactProperty SET string_value = 'openvino_ir' WHERE name = 'model_format_name'",
    )
    s3.make_bucket(BUCKET)
    # As files, before anybody has listed the bucket: a thousand times quicker than by PUT.
    for artifact in range(1, shape.artifact_count + 1):
        version = s3.folder / BUCKET / "models" / f"model-{artifact}" / "1"
        version.mkdir(parents=True)
        (version / "model.xml").write_text(f'<net name="{artifact}"/>')
        (version / "model.bin").write_bytes(bytes([artifact % 256]) * 64)


def damage(s3: S3Server) -> list[int]:
    """Delete some models, replace the bytes of one, move one where no server looks; return their artifacts' ids."""
    client = s3.client()
    for artifact in DELETED:
        for name in ("model.xml", "model.bin"):
            client.delete_object(Bucket=BUCKET, Key=f"models/model-{artifact}/1/{name}")
    client.put_object(Bucket=BUCKET, Key=f"models/model-{REPLACED}/1/model.bin", Body=b"other weights")
    for name in ("model.xml", "model.bin"):
        old, new = (f"models/model-{MOVED}/{folder}/{name}" for folder in ("1", "v1"))
        client.copy_object(Bucket=BUCKET, Key=new, CopySource={"Bucket": BUCKET, "Key": old})
        client.delete_object(Bucket=BUCKET, Key=old)
    client.close()
    return sorted((*DELETED, REPLACED, MOVED))
