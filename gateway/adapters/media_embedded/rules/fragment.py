"""The bodies of PATCH (RFC 8840 section 9, RFC 9725 section 4.3): trickled candidates and ICE restarts."""

import re
from dataclasses import dataclass

from gateway.adapters.media_embedded.rules.candidates import listed
from gateway.adapters.media_embedded.rules.description import Local
from gateway.adapters.media_embedded.rules.ice import Credentials
from protocols.errors import BadMediaError

MAX_FRAGMENT = 16 * 1024
MAX_CANDIDATES = 64
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_CANDIDATE = re.compile(r"candidate:\S{1,32} \d{1,3} \S{1,8} \d{1,10} \S{1,256} \d{1,5} typ \S{1,16}( \S+ \S+)*")


@dataclass(frozen=True, slots=True)
class Fragment:
    """What the other end trickled: its credentials (None if it named none), and how many candidates."""

    credentials: Credentials | None
    candidates: int
    complete: bool


def read(text: str) -> Fragment:
    """Parse a trickle-ice-sdpfrag; raises BadMediaError. Lines that mean nothing here are passed over."""
    if len(text) > MAX_FRAGMENT:
        raise BadMediaError(f"the fragment is longer than {MAX_FRAGMENT} characters")
    ufrags, passwords, candidates, complete = [], [], 0, False
    for line in text.splitlines():
        name, _, value = line.removeprefix("a=").partition(":")
        if line and line[1:2] != "=":
            raise BadMediaError("the fragment is not SDP: every line is a letter, =, and a value")
        if name == "ice-ufrag":
            ufrags.append(value.strip())
        elif name == "ice-pwd":
            passwords.append(value.strip())
        elif name == "candidate":
            candidates += 1
            if candidates > MAX_CANDIDATES or not _CANDIDATE.fullmatch(line.removeprefix("a=").strip()):
                raise BadMediaError("a candidate does not parse, or there are too many")
        elif name == "end-of-candidates":
            complete = True
    return Fragment(_credentials(ufrags, passwords), candidates, complete)


def _credentials(ufrags: list[str], passwords: list[str]) -> Credentials | None:
    if not ufrags and not passwords:
        return None
    if len(set(ufrags)) != 1 or len(set(passwords)) != 1:
        raise BadMediaError("a fragment names one ice-ufrag and one ice-pwd")
    if not _UFRAG.fullmatch(ufrags[0]) or not _PASSWORD.fullmatch(passwords[0]):
        raise BadMediaError("ice-ufrag or ice-pwd is not as RFC 8839 wants it")
    return Credentials(ufrags[0], passwords[0])


def restarted(local: Local, mids: tuple[str, ...], kind: str) -> str:
    """Build the answer to an ICE restart: the new credentials and all candidates."""
    lines = ["a=ice-lite", f"a=group:BUNDLE {' '.join(mids)}", f"m={kind} 9 UDP/TLS/RTP/SAVPF 0"]
    lines += [f"a=mid:{mids[0]}"] if mids else []
    lines += [f"a=ice-ufrag:{local.credentials.ufrag}", f"a=ice-pwd:{local.credentials.password}"]
    lines += [f"a={candidate.line}" for candidate in listed(local.candidates)]
    return "\r\n".join([*lines, "a=end-of-candidates"]) + "\r\n"
