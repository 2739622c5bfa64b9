"""Refuses to run where another distribution has put files into one of our packages; light: it runs at each start."""

from protocols.aio.owners import strangers
from protocols.errors import ConfigError

PACKAGES = ("gateway", "edge_agent", "protocols")
"""`edge_agent` is somebody else's on PyPI."""


def refuse_strangers() -> None:
    """Raise ConfigError that names the others and what to type."""
    found = strangers(PACKAGES)
    if found:
        names = sorted({other for others in found.values() for other in others})
        raise ConfigError(
            f"{', '.join(found)} also belongs to {', '.join(names)}: pip uninstall {' '.join(names)}, "
            "then install silian again, in an environment of its own"
        )
