"""Chinese CAP messages for tests, written by the field's rules; Update and Cancel are derived from the Alert."""

ALERT = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>{identifier}</identifier><sender>{sender}</sender>
  <sent>{sent}</sent><status>{status}</status><msgType>{type}</msgType><scope>Public</scope>
  <references>{references}</references>
  <info><language>zh-CN</language><category>Met</category><event>{event}</event><urgency>Immediate</urgency>
    <severity>Severe</severity><certainty>Likely</certainty>
    <eventCode><valueName>code</valueName><value>{code}</value></eventCode>{expires}
    <senderName>如东县气象台</senderName><headline>{headline}</headline>
    <description>{description}</description><instruction>减少外出。</instruction>
    <area><areaDesc>如东县</areaDesc>{polygon}
      <geocode><valueName>GB/T 2260</valueName><value>{area}</value></geocode></area>
  </info>
</alert>"""
FIRST = "32062341600000_20260101000000"
SENDER = "32062341600000"
SENT = "2026-01-01T08:00:00+08:00"


def alert(**more: str) -> bytes:
    """Return a message; every field of `ALERT` may be given."""
    values = {
        "identifier": FIRST,
        "sender": SENDER,
        "sent": SENT,
        "status": "Actual",
        "type": "Alert",
        "references": "",
        "event": "暴雨",
        "code": "11B03",
        "headline": "如东县发布暴雨橙色预警",
        "description": "预计未来3小时降雨量达50毫米以上。",
        "area": "320623000000",
        "polygon": "",
        "expires": "",
    }
    return ALERT.format(**values | more).encode()


def reference(identifier: str = FIRST, sender: str = SENDER) -> str:
    """Return one member of `references`."""
    return f"{sender},{identifier},{SENT}"
