"""Text as people wrote it, from text as the database holds it."""

# MySQL's latin1 is cp1252, and the five bytes that cp1252 lacks stand for themselves.
_BYTES = {
    **{ord(bytes([byte]).decode("cp1252")): byte for byte in range(256) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)},
    **{byte: byte for byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D)},
}


def readable(text: str) -> str:
    """Undo the double encoding of MLMD, which calls its UTF-8 latin1; any other text comes back as it is.

    Decided for each value by itself: a database that was upgraded to RHOAI 2.23 or newer holds both kinds. A text
    that only looks double-encoded (somebody really wrote "Ã©") is decoded too: the two cannot be told apart.
    """
    if text.isascii():
        return text
    try:
        return bytes(_BYTES[ord(character)] for character in text).decode()
    except (KeyError, UnicodeDecodeError):
        return text
