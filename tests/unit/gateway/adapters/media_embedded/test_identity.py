"""The media certificate is kept, renewed in time, and nobody else may read its key."""

import datetime
from pathlib import Path

from gateway.adapters.media_embedded import identity

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)


def test_it_is_kept_and_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "media.pem"
    first = identity.load_or_make(path, NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    assert identity.load_or_make(path, NOW) == first
    assert len(first.fingerprint) == 95


def test_it_is_renewed_before_its_end(tmp_path: Path) -> None:
    path = tmp_path / "media.pem"
    first = identity.load_or_make(path, NOW)
    later = NOW + identity.LIFETIME - identity.RENEW_BEFORE + datetime.timedelta(hours=1)
    assert identity.load_or_make(path, later) != first


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "media.pem"
    path.write_text("not a certificate")
    first = identity.load_or_make(path, NOW)
    assert identity.load_or_make(path, NOW) == first
