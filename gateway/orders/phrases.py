"""What the orders room says to people outside the console, and what an order of each type begins with: Chinese."""

from typing import Final

from gateway.orders.rules.deadlines import Reminder

DRILL: Final = "【演练】"
NUMBER: Final = "{prefix}〔{year}〕{sequence}号"
URGENCY: Final = {"flash": "特急", "urgent": "加急", "routine": "平急"}
TYPES: Final = {
    "dispatch": "调度",
    "prevent": "防范",
    "verify": "核查",
    "reinforce": "增援",
    "lift": "解除",
    "notice": "通知",
}
TEMPLATES: Final = {
    "dispatch": ("关于调度……的指令", "请立即调度……，于……前到达……，到位后报告。"),
    "prevent": ("关于做好……防范应对的指令", "请立即组织……，落实转移避险和值班值守措施，并反馈落实情况。"),
    "verify": ("关于核查……的指令", "请立即核查……，核实人员伤亡、被困和失联情况，并在时限内反馈。"),
    "reinforce": ("关于增援……的指令", "请立即组织……增援……，明确带队负责人和联系电话，出发及到达时报告。"),
    "lift": ("关于解除……的指令", "……已结束，自即时起解除……，请有序恢复并报告。"),
    "notice": ("关于……的通知", "现将有关事项通知如下：……"),
}
"""Title and text that a new order of a type begins with; people fill in the rest."""
SUBJECT: Final = "{urgency}指令"
ARRIVED: Final = "收到{issuer}{urgency}指令 {number}《{title}》，请在{minutes}分钟内签收。"
CHASED: Final = "{issuer}督办指令 {number}《{title}》：{text}"
WITHDRAWN: Final = "{issuer}撤销指令 {number}《{title}》：{text}"
UNSIGNED_HERE: Final = "指令 {number}《{title}》签收时限已到，仍未签收，请立即签收。"
REMINDERS: Final = {
    Reminder.AGAIN: "{issuer}{urgency}指令 {number}《{title}》，{unit}尚未签收，请立即签收并落实：{content}",
    Reminder.LEADER: "{issuer}{urgency}指令 {number}《{title}》，{unit}超时未签收，请带班领导督促立即签收。",
    Reminder.HIGHER: "指令 {number}《{title}》：{unit}超时仍未签收，请电话督办。",
    Reminder.FEEDBACK: "指令 {number}《{title}》：{unit}反馈时限已到，请立即反馈落实情况。",
}
DUTY_ROOM: Final = "值班室"
OPEN: Final = "指令未办结 {number}《{title}》"
PAPER_DRAFT: Final = "未签发"
PAPER_REVOKED: Final = "本指令已由 {by} 于 {at} 撤销：{why}"
PAPER_ABOUT: Final = "{text}（{id}）"
PAPER_PAPERS: Final = "关联事项与附件"
PAPER_WITHIN: Final = "{minutes} 分钟内"
PAPER_HEAD: Final = {
    "number": "编号",
    "type": "类型",
    "urgency": "紧急程度",
    "issuer": "下达单位",
    "drafted_by": "拟稿",
    "signed_by": "签发",
    "sent_at": "下达时间",
    "within": "签收时限",
    "feedback": "反馈时限",
    "closed_at": "销号",
}
PAPER_UNITS: Final = "各单位落实情况"
PAPER_COLUMNS: Final = ("单位", "状态", "送达", "签收", "办结")
PAPER_SAID: Final = "反馈与督办"
PAPER_SAID_COLUMNS: Final = ("时间", "单位", "事项", "人员", "内容")
STATES: Final = {
    "draft": "草稿",
    "signed": "已签发",
    "sent": "已下达",
    "delivered": "已送达",
    "acknowledged": "已签收",
    "in_progress": "办理中",
    "feedback": "已反馈",
    "done": "已办结",
    "overdue": "超时未签收",
    "revoked": "已撤销",
}
DEEDS: Final = {
    "delivered": "送达",
    "refused": "拒收",
    "acknowledged": "签收",
    "in_progress": "办理中",
    "feedback": "反馈",
    "done": "办结",
    "withdrawn": "撤销送达",
}
WAYS: Final = {"console": "控制台", "phone": "电话", "radio": "电台", "fax": "传真", "visit": "当面", "system": "系统"}
CHASE: Final = "督办"
NOTED: Final = "{by} 记录"


def marked(text: str, *, drill: bool) -> str:
    """Put the drill's mark before and behind a text, where nobody can overlook it."""
    return f"{DRILL}{text}{DRILL}" if drill else text
