"""What the warning room says to people outside the console: Chinese, in one place."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

CHINA: Final = ZoneInfo("Asia/Shanghai")
DRILL: Final = "【演练】"
COLOURS: Final = {1: "红色", 2: "橙色", 3: "黄色", 4: "蓝色"}
CALL_SUBJECT: Final = "{colour}预警叫应"
CALL: Final = "{unit}：{headline}。{target}{post}{person}，请立即确认收到{link}，并按预案组织防范避险。{instruction}"
CONFIRM_AT: Final = "（点开确认：{url}）"
DOOR_SUBJECT: Final = "叫应未应答，请上门"
DOOR: Final = "{headline}。{target}的{persons}均未应答，请{person}立即派人上门叫应，并回报值班室{link}。"
OVER_SUBJECT: Final = "预警解除"
OVER: Final = "{headline}已解除，此前的叫应就此结束。"
STARTED: Final = "{headline}：叫应开始，共{total}个责任岗位，{minutes}分钟内未应答将自动叫下一人。"
OUTLET_SUBJECT: Final = "{colour}预警：{event}"
OUTLET: Final = "{headline}。{description}{instruction}（{unit}{at}发布）"
NOBODY: Final = "值班员"

PAGE: Final = """<!doctype html><html lang="zh-CN"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>预警叫应</title>
<style>body{{font:20px/1.6 sans-serif;margin:0 auto;max-width:36em;padding:1em;color:#111;background:#fff}}
h1{{font-size:1.3em}}.mark{{color:#b00020;font-weight:700}}
button{{font:inherit;width:100%;padding:.8em;border:0;border-radius:8px;background:#1668dc;color:#fff}}</style>
<main>{body}</main></html>"""
PAGE_ASK: Final = (
    "<p class=mark>{mark}</p><h1>{headline}</h1><p>{target}　{person}</p><p>{instruction}</p>"
    '<form method="post"><button type="submit">我已收到，确认</button></form>'
)
PAGE_DONE: Final = "<p class=mark>{mark}</p><h1>已确认，谢谢。</h1><p>{headline}</p><p>{by}　{at}</p>"
PAGE_OVER: Final = "<h1>此次叫应已结束</h1><p>{headline}</p><p>如有情况，请致电值班室。</p>"
PAGE_BAD: Final = "<h1>链接无效</h1><p>请检查链接是否完整，或致电值班室确认。</p>"

RECORD: Final = "预警叫应记录"
RECORD_OPEN: Final = "叫应尚未结束，本记录为截至打印时的情况"
FACTS: Final = {
    "headline": "预警",
    "unit": "发布单位",
    "identifier": "编号",
    "sent_at": "发布时间",
    "started": "叫应开始",
    "ended": "叫应结束",
    "total": "应叫岗位",
    "confirmed": "已应答",
    "unanswered": "未应答",
    "late": "超时应答",
    "median": "应答用时（中位）",
}
CALLS_TITLE: Final = "逐岗结果"
CALLS: Final = ("目标", "责任人", "结果", "应答人", "方式", "应答时间", "用时", "备注")
LATE: Final = "（超时{took}）"
LETTERS_TITLE: Final = "通知与回执"
LETTERS: Final = ("时间", "姓名", "渠道", "号码或地址", "回执", "次数", "原因")
LINES_TITLE: Final = "经过"
LINES: Final = ("时间", "事项", "经办", "说明")
PHASES: Final = {"calling": "叫应中", "door": "上门", "confirmed": "已应答", "ended": "未应答"}
WAYS: Final = {"link": "链接确认", "phone": "电话", "console": "值班台", "door": "上门", None: ""}
CHANNELS: Final = {"sound": "值班台提示音", "email": "邮件", "webhook": "接口推送", "sms": "短信"}
RECEIPTS: Final = {
    "waiting": "待发",
    "sent": "已发",
    "accepted": "已受理",
    "delivered": "已送达",
    "failed": "失败",
    "cancelled": "已撤回",
}
WHAT: Final = {
    "drafted": "拟稿",
    "edited": "修改",
    "reviewed": "审核通过",
    "returned": "退回修改",
    "signed": "签发",
    "dispatched": "发布",
    "delivered": "全部送达",
    "received": "收到",
    "below": "下级发布",
    "updated": "被更新",
    "cancelled": "解除",
    "archived": "归档",
    "withdrawn": "撤销",
    "offered": "可叫应",
    "called": "开始叫应",
    "next": "未应答，叫下一人",
    "door": "未应答，上门叫应",
    "answered": "已应答",
    "answered_late": "已应答（超时）",
    "confirmed": "全部应答",
    "ended": "结束叫应",
    "key_changed": "签名密钥与此前不同，请电话核实",
}


def clock(at: datetime | None) -> str:
    """Return a time of China on the 24-hour clock, "" for none."""
    return "" if at is None else at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def mark(*, drill: bool) -> str:
    """Return the mark of a drill, "" for none."""
    return DRILL if drill else ""


def marked(text: str, *, drill: bool) -> str:
    """Put the drill's mark before and behind a text, where nobody can overlook it."""
    return f"{DRILL}{text}{DRILL}" if drill else text


def masked(address: str | None) -> str:
    """Hide the middle of a phone number or the name of a mail address."""
    if not address:
        return ""
    if "://" in address:
        return address.split("/", 3)[2]
    head, at, host = address.partition("@")
    if at:
        return f"{head[:1]}***@{host}"
    return f"{address[:3]}****{address[-4:]}" if len(address) >= 7 else "****"
