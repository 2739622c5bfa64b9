"""What the duty room says to people: Chinese, in one place."""

from typing import Final

from protocols.duty import DutyRole

ROLES: Final = {
    DutyRole.LEADER: "带班领导",
    DutyRole.CHIEF: "值班长",
    DutyRole.OFFICER: "值班员",
    DutyRole.TECHNICIAN: "技术保障",
    DutyRole.ONCALL: "备勤",
}
GAP: Final = "值班空岗：{day} {shift} 缺{missing}"
GAP_DETAIL: Final = "请在值守页面补齐值班人员，补齐后本告警自动解除。"


def missing(wanted: dict[DutyRole, int]) -> str:
    """Say who is missing."""
    return "、".join(f"{ROLES[role]} {number} 人" for role, number in wanted.items())
