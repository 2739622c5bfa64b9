"""The PIN of the answer page: made once, checked slowly, remembered by a signed cookie.

Whoever can reach the page's port and does not know the PIN sees nothing and answers nothing. A cookie outlives a
restart of the agent, so that a screen in the duty room stays signed in; another PIN ends all of them.
"""

import hashlib
import hmac
import secrets
from collections import Counter
from pathlib import Path

from protocols.aio.clock import Clock
from protocols.errors import ConfigError, LockedError, NotAuthenticatedError

PIN_FILE, KEY_FILE = "answer-pin", "answer-page.key"
DIGITS = 6
TRIES = 5
LOCK_S = 60.0
STAYS_S = 30 * 86_400


class PinDoor:
    """`counters`: opened, wrong, locked."""

    def __init__(self, state_dir: Path, pin_file: Path | None, clock: Clock) -> None:
        """Read or make PIN and key; raises ConfigError for a PIN file that cannot be used."""
        self.counters: Counter[str] = Counter()
        self._pin = read_pin(pin_file) if pin_file is not None else made_pin(state_dir)
        self._key = hashlib.sha256(_kept(state_dir / KEY_FILE, secrets.token_hex(32)).encode() + self._pin).digest()
        self._clock = clock
        self._wrong = 0
        self._locked_until = 0.0

    def open(self, pin: str) -> str:
        """Return the cookie for the right PIN. Raises NotAuthenticatedError; LockedError after `TRIES` wrong ones."""
        now = self._clock.monotonic()
        if now < self._locked_until:
            self.counters["locked"] += 1
            left = int(self._locked_until - now) + 1
            raise LockedError(f"PIN 错误次数过多，请 {left} 秒后再试 (too many wrong PINs)", left)
        if not hmac.compare_digest(pin.strip().encode(), self._pin):
            self.counters["wrong"] += 1
            self._wrong += 1
            if self._wrong >= TRIES:
                self._wrong, self._locked_until = 0, now + LOCK_S
            raise NotAuthenticatedError("PIN 不正确；在本机运行 silian-agent answer-page 可查看 (wrong PIN)")
        self._wrong = 0
        self.counters["opened"] += 1
        ends = str(int(self._clock.now().timestamp()) + STAYS_S)
        return f"{ends}.{self._sign(ends)}"

    def known(self, cookie: str | None) -> bool:
        """Tell whether a cookie was given here and still holds."""
        ends, _, mark = (cookie or "").partition(".")
        if not ends.isdecimal() or not hmac.compare_digest(mark.encode(), self._sign(ends).encode()):
            return False
        return int(ends) > self._clock.now().timestamp()

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def read_pin(path: Path) -> bytes:
    """Read the operator's PIN; raises ConfigError for one that is missing, too short or too long."""
    try:
        pin = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"answer_page.pin_file {path}: {error.strerror}; write 4 to 32 characters into it") from None
    if not 4 <= len(pin) <= 32:
        raise ConfigError(f"answer_page.pin_file {path}: a PIN has 4 to 32 characters")
    return pin


def made_pin(state_dir: Path) -> bytes:
    """Return the PIN that this box made for itself, making it the first time."""
    return _kept(state_dir / PIN_FILE, f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}").encode()


def _kept(path: Path, fresh: str) -> str:
    """Return what the file holds; `fresh` is written where there is none."""
    try:
        kept = path.read_text("utf-8").strip()
        if kept:
            return kept
        path.unlink()
    except FileNotFoundError:
        pass
    try:
        path.touch(mode=0o600)
        path.write_text(fresh, "utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; make the state directory writable for this user") from None
    return fresh
