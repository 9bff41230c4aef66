"""What `cluster install` grants where no registry is there yet."""

from opskit.cluster.objects import Values, objects

NAMED = {"secrets", "services", "deployments", "configmaps"}


def test_no_right_to_what_has_a_name_is_granted_without_the_name() -> None:
    values = Values("registries", "image", {"url": "s3://bucket/opskit"})
    rules = [
        (each["metadata"]["name"], rule) for each in objects(values) if each["kind"] == "Role" for rule in each["rules"]
    ]
    assert [name for name, rule in rules if NAMED & set(rule["resources"]) and "resourceNames" not in rule] == []
