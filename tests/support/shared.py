"""Sample data that others wrote, where they lie beside the checkout; tests that want them are skipped elsewhere."""

from pathlib import Path

HERE = Path(__file__).resolve()


def shared(name: str) -> Path:
    """Return the place of a shared sample, whether or not it is there."""
    places = [parent / "shared" / "data" for parent in HERE.parents]
    return next((place for place in places if place.is_dir()), places[-1]) / name
