"""What the roll call says to people: Chinese, in one place. The console translates states and reasons by itself."""

from typing import Final

from protocols.rollcall import AbsenceReason, PointState

COLUMNS: Final = (
    "序号", "单位", "区划代码", "点位", "点名类型", "首呼时间", "接通时间", "接通用时(s)", "呼叫次数", "应答人",
    "结果", "图像(结果/缺陷)", "首帧用时(s)", "画面时延(ms)", "链路", "截图编号", "点名员", "备注",
)  # fmt: skip
"""Headings of the result sheet (结果表): those of the local form that the first roll call can fill."""
KINDS: Final = {
    "daily": "例行",
    "holiday": "节假日",
    "flood": "汛期加密",
    "random": "随机抽查",
    "triggered": "触发点名",
    "relay": "上级下达",
    "makeup": "补点",
    "test": "测试",
}
STATES: Final = {
    PointState.PENDING: "待点",
    PointState.RINGING: "呼叫中",
    PointState.CONNECTING: "已接通",
    PointState.VERIFYING: "核验中",
    PointState.PASSED: "到",
    PointState.PASSED_WITH_ISSUES: "到（有问题）",
    PointState.PASSED_LATE: "补点到",
    PointState.FAILED: "不合格",
    PointState.NO_ANSWER: "未应答",
    PointState.LINK_LOST: "链路中断",
    PointState.MAKEUP: "待补点",
    PointState.ABSENT: "未到",
    PointState.EXCUSED: "免点",
    PointState.SKIPPED: "跳过",
    PointState.UNREACHABLE: "平台未能到达",
}
REASONS: Final = {
    AbsenceReason.NO_LINK: "链路故障",
    AbsenceReason.NO_ANSWER: "未应答",
    AbsenceReason.NO_PICTURE: "无图像",
    AbsenceReason.FROZEN: "画面冻结",
    AbsenceReason.BLACK: "黑屏",
    AbsenceReason.COVERED: "镜头遮挡",
    AbsenceReason.UNPROVEN: "画面无法证实",
    AbsenceReason.REPLAY: "疑似回放",
    AbsenceReason.BAD_PICTURE: "图像不合格",
}
PICTURE_GOOD: Final = "正常"
PICTURE_UNSEEN: Final = "未见图像"
NO_CAMERA: Final = "该县未登记摄像机"
TOLD: Final = "县端判定：{verdict}"
RING_FAILED: Final = "呼叫未成功：{why}"
STREAM_TROUBLE: Final = "取流未成功：{why}"
TOO_OLD: Final = "网关重启后已超过到岗时限"
