"""A store by where it is: an IPFS node's URL, or a directory."""

from pathlib import Path

from store.interface import Store
from store.kubo import KuboStore
from store.local import ContentStore


def is_node(place: str) -> bool:
    """Whether a place is an IPFS node's."""
    return place.startswith(("http://", "https://"))


def store_at(place: str, *, spool_directory: Path | None = None) -> Store:
    """The IPFS node at a URL, or the embedded store in a directory.

    Args:
        spool_directory: where drafts for a node are written; by default the system's temporary directory.
    """
    if is_node(place):
        return KuboStore(place, spool_directory=spool_directory)
    return ContentStore(Path(place))
