"""Bad public warnings, one table for the doors that take CAP: what is sent, and the code it is refused with."""

from tests.support.cap import alert

GOOD = alert()
_BILLION = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"ha") for n in range(10))
BAD: dict[str, tuple[bytes, str]] = {
    "truncated": (GOOD[: len(GOOD) // 2], "bad_input"),
    "empty": (b"", "bad_input"),
    "no XML": ("不是 XML".encode(), "bad_input"),
    "binary": (bytes(range(256)), "bad_input"),
    "GBK that says it is UTF-8": (GOOD.decode().encode("gbk"), "bad_input"),
    "an encoding that nobody knows": (GOOD.replace(b"UTF-8", b"KLINGON"), "bad_input"),
    "a NUL within": (GOOD.replace(b"Immediate", b"Imme\0diate"), "bad_input"),
    "10 MB": (GOOD + b" " * (10 << 20), "too_large"),
    "an entity bomb": (b"<!DOCTYPE alert [" + _BILLION + b"]><alert>&l9;</alert>", "bad_input"),
    "a file by an entity": (
        b'<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + GOOD.split(b"?>", 1)[1],
        "bad_input",
    ),
    "another document": (b"<feed xmlns='http://www.w3.org/2005/Atom'/>", "bad_schema"),
    "deep as a bomb": (b"<a>" * 100_000, "bad_input"),
    "no identifier": (alert(identifier=""), "bad_schema"),
    "no such status": (alert(status="Perhaps"), "bad_schema"),
    "a draft": (alert(status="Draft"), "bad_schema"),
    "a time that is none": (alert(sent="gestern"), "bad_schema"),
    "a cancel of something unknown": (
        alert(identifier="c", type="Cancel", references="a,b,2026-01-01T08:00:00+08:00"),
        "not_found",
    ),
}
