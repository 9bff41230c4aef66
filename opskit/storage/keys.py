"""Which names an object may have: those that mean the same in a bucket and in a directory."""

import unicodedata

# At the root of a directory: uploads that are not complete yet, and what the file system keeps for itself.
UPLOADS_FOLDER = ".opskit-uploads"
_RESERVED = (UPLOADS_FOLDER, "lost+found")

# S3 allows keys of 1,024 bytes, file systems names of 255.
_KEY_BYTES = 1024
_SEGMENT_BYTES = 255


def check_key(key: str) -> str:
    """Return the key if it is one, else raise `ValueError`."""
    if problem := _problem(key):
        raise ValueError(f"{key!r} is not a storage key: {problem}")
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix if a key can start with it, else raise `ValueError`."""
    if prefix and (problem := _problem(f"{prefix}x")):
        raise ValueError(f"no storage key starts with {prefix!r}: {problem}")
    return prefix


def is_key(name: str) -> bool:
    """Tell what a storage may hold from whatever else lies in the same bucket or directory."""
    return not _problem(name)


def _problem(key: str) -> str:
    segments = key.split("/")
    if "" in segments:
        return "it has an empty segment"
    if "." in segments or ".." in segments:
        return "it has a segment that means another folder"
    if "\\" in key or any(unicodedata.category(character) in ("Cc", "Cs") for character in key):
        return "it has a backslash, a control character or half a surrogate pair"
    if segments[0] in _RESERVED:
        return f"{segments[0]} is not for objects"
    if len(key.encode()) > _KEY_BYTES or any(len(segment.encode()) > _SEGMENT_BYTES for segment in segments):
        return f"it is longer than {_KEY_BYTES} bytes, or a segment of it longer than {_SEGMENT_BYTES}"
    return ""
