"""The one error of every packet parser in this package."""


class MalformedError(ValueError):
    """Bytes that are not what they should be; the packet is dropped and counted as `malformed`."""
