"""Secrets: given inline, or as a file that is read each time the secret is used (files rotate)."""

from pathlib import Path

from pydantic import SecretStr

from opskit.errors import ConfigurationError
from opskit.redaction import conceal

# Each has a `<name>_file` beside it; one of the two may be given.
SECRETS = ("password", "token", "access_key_id", "secret_access_key", "heartbeat_url")


def reveal(inline: SecretStr | None, file: Path | None) -> str | None:
    """Return the secret itself, and have it masked in logs and errors from here on."""
    if inline is not None:
        return conceal(inline.get_secret_value())
    if file is not None:
        return conceal(read_secret_file(file))
    return None


def read_secret_file(path: Path) -> str:
    """Return what the file holds, without the newline that editors leave at its end."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the secret in {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        # Not chained: that error quotes the bytes.
        raise ConfigurationError(f"the secret in {path} is not UTF-8 text") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ConfigurationError(f"the secret in {path} is empty")
    return secret
