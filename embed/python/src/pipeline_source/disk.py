"""What a power failure may take from a disk."""

from __future__ import annotations

import os


def sync_folder_of(path: str | os.PathLike[str]) -> None:
    """Sees to it that the name of a file survives, whose content was synced by itself."""
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
