"""What every section of the configuration has in common."""

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class Section(BaseModel):
    """A mapping of the YAML file: frozen, and every key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @field_validator("*")
    @classmethod
    def _one_source_per_secret(cls, value: object, info: ValidationInfo) -> object:
        name = (info.field_name or "").removesuffix("_file")
        if name != info.field_name and value is not None and info.data.get(name) is not None:
            raise ValueError(f"give {name} or {name}_file, not both")
        return value
