"""Secrets that were read in this process, and text freed of them.

`opskit.settings` keeps secrets out of repr and of its own errors; this is the second line, for what servers
and libraries put into theirs. Whatever is logged or printed as an error passes through `mask`.
"""

MASK = "**********"
# Shorter secrets are words that messages use anyway: masking them would hide the message, not the secret.
SHORTEST = 6

_revealed: set[str] = set()


def conceal(secret: str) -> str:
    """Return the secret, and mask it from now on."""
    if len(secret) >= SHORTEST:
        _revealed.add(secret)
    return secret


def mask(text: str) -> str:
    """Return the text with every secret that was read so far replaced."""
    # The longest first: one secret may contain another.
    for secret in sorted(_revealed, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
