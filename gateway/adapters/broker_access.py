"""Who may write and read which topic at a gateway's broker: one rule, spoken in two dialects.

**A node writes `up/*`, `rcpt/down` and `state` of its own branch and reads `down/*` and `rcpt/up` of it; the
gateway writes and reads the opposite of all branches.** The embedded broker asks `allowed`, mosquitto is given
`mosquitto_acl`.
"""

from protocols.topics import ROOT

_NODE_WRITES = ("up/+", "rcpt/down", "state")
_NODE_READS = ("down/+", "rcpt/up")


def allowed(identity: str, gateway: str, topic: str, *, write: bool) -> bool:
    """Tell whether `identity` may write or read `topic` (a topic, or a filter with wildcards when subscribing)."""
    parts = topic.split("/")
    if parts[:2] != ROOT.split("/") or len(parts) < 4 or "#" in parts:
        return False
    node, rest = parts[2], parts[3:]
    writes, reads = (_NODE_READS, _NODE_WRITES) if identity == gateway else (_NODE_WRITES, _NODE_READS)
    if identity not in (gateway, node):
        return False
    return any(_covers(pattern.split("/"), rest) for pattern in (writes if write else reads))


def _covers(pattern: list[str], rest: list[str]) -> bool:
    return len(pattern) == len(rest) and all(p in ("+", r) for p, r in zip(pattern, rest, strict=True))


def mosquitto_acl(gateway: str) -> str:
    """Return the text of mosquitto's `acl_file`; `%u` is the CN of the client's certificate."""
    lines = [
        "# Access list of a gateway's broker; %u is the name (CN) in the client's certificate. Its listener needs",
        "# require_certificate, use_identity_as_username and use_username_as_clientid, else nodes oust each other. "
        "Replicas of a",
        "# gateway bear one name: their listener, which nodes must not reach, does without use_username_as_clientid.",
    ]
    lines += [f"pattern write {ROOT}/%u/{tail}" for tail in _NODE_WRITES]
    lines += [f"pattern read {ROOT}/%u/{tail}" for tail in _NODE_READS]
    lines += ["", f"user {gateway}"]
    lines += [f"topic read {ROOT}/+/{tail}" for tail in _NODE_WRITES]
    lines += [f"topic write {ROOT}/+/{tail}" for tail in _NODE_READS]
    return "\n".join(lines) + "\n"
