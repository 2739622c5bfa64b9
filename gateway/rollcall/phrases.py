"""What the roll call says to people: Chinese, in one place. The console translates states and reasons by itself."""

from typing import Final

from protocols.rollcall import AbsenceReason, Cause, PointState

COLUMNS: Final = (
    "序号", "单位", "区划代码", "点位", "点名类型", "计划时间", "首呼时间", "接通时间", "接通用时(s)", "呼叫次数",
    "应答人", "结果", "带班领导(应/实)", "值班员(应/实)", "到岗人数(应/实)", "图像(结果/缺陷)", "声音(结果/缺陷)",
    "时延/丢包/码率", "着装席卡", "业务应答", "问题分类", "责任归因", "补点(时间/结果)", "得分", "截图编号",
    "录音录像编号", "点名员", "复核人", "申诉/修订", "整改期限", "反馈", "签收时间", "备注",
)  # fmt: skip
"""Headings of the result sheet (结果表, domain.md 3.8), in the order of the form."""
COLUMN_KEYS: Final = (
    "number", "name", "centre", "point", "kind", "planned_at", "rung_at", "connected_at",
    "connect_s", "attempts", "answered_by", "result", "leader", "officers", "count", "picture",
    "sound", "figures", "dress", "business", "issues", "cause", "makeup", "score",
    "stills", "clips", "caller", "reviewer", "disputed", "remedy_by", "feedback", "signed",
    "note",
)  # fmt: skip
"""Names of the columns for those who translate them."""
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
NUMBER_NOT_SHOWN: Final = "核验码未能显示：{why}"
HEARTBEAT_OLD: Final = "县端心跳已停 {seconds} 秒"
CLOCK_OFF: Final = "县端时钟偏差 {seconds} 秒"
DISK_FULL: Final = "县端磁盘仅剩 {mebibytes} MiB"
ON_UPS: Final = "县端由 UPS 供电{charge}"
NO_PROBE_PICTURE: Final = "预检未取到图像：{why}"
NO_ECHO: Final = "双向媒体不通：县端收不到网关送回的画面，{why}"
NOTHING_CAME: Final = "没有收到任何 RTP 包"
LOSSY_ECHO: Final = "双向媒体丢包 {loss:.1f}%"
LANE_SILENT: Final = "下级网关 {node} 未在时限内报回结果"
LANE_CUT: Final = "平台未能到达该县 (unreachable)，不归因于县级：{why}"
ORDER_FAILED: Final = "未能下达至 {node}：{why}"
LANE_REFUSES: Final = "{node} 未能照办：{why}"
LENT: Final = "上级占用，本次未点完"
LATE_RESULT: Final = "下级迟到的结果"
BUSY: Final = "{name}（{centre}）正在另一场点名中，请等待其结束或先结束那一场"
INSPECTED: Final = "上级（{by}）正在抽查 {name}（{centre}），结束后再点"
DUTY_ROOM: Final = "值班室"
UNKNOWN_REASON: Final = "原因待查"
MISSING_SUBJECT: Final = "视频点名未到"
MISSING_TEXT: Final = (
    "{mark}{name}（{centre}）{at}视频点名（{kind}）：{result}，{reason}。请立即核实并回复市值班室。{mark}"
)
HEAD: Final = "县应急管理局局长"
REPEATED_TEXT: Final = (
    "{mark}{name}（{centre}）{days} 天内第 {times} 次视频点名未到（{reason}），请主要负责同志督促整改。{mark}"
)
UNANSWERED_SUBJECT: Final = "视频点名无人应答"
UNANSWERED_TEXT: Final = "{mark}{name}（{centre}）视频点名振铃无人应答，请立即到值班席接听；{at} 前仍可补点。{mark}"
INCIDENT: Final = "点名：{number} 个单位同因未到（{cause}）"
INCIDENT_DETAIL: Final = "{names}；点名编号 {roll_call}。按一起运维事件处置，不逐县追责。"
INCIDENT_TEXT: Final = "{mark}视频点名中 {number} 个单位同因未到（{cause}），已按一起运维事件上报。{mark}"
TOO_OLD: Final = "网关重启后已超过到岗时限"

# the result sheet and the bulletin

NONE: Final = "–"
LOOKED: Final = {"good": "合格", "issue": "有问题", "bad": "不合格", "unproven": "无法证实", "unknown": "未核", "": ""}
DEFECTS: Final = {
    "lost": "信号丢失",
    "frozen": "画面冻结",
    "black": "黑屏",
    "covered": "镜头遮挡",
    "blurred": "模糊",
    "colour_cast": "偏色",
    "stripes": "条纹",
    "replay": "疑似回放",
    "silent": "无声音",
    "clipped": "声音失真",
    "echo": "回声",
}
CAUSES: Final = {
    Cause.COUNTY_TERMINAL: "县端终端",
    Cause.COUNTY_POWER: "县端供电",
    Cause.COUNTY_STAFF: "县端人员",
    Cause.LINE: "线路",
    Cause.PLATFORM: "平台",
    Cause.UPPER_NETWORK: "上级网络",
    Cause.UNKNOWN: "待查",
}
ISSUES: Final = {
    "link": "接通",
    "picture": "图像",
    "scene": "机位",
    "sound": "声音",
    "answer": "应答",
    "leader": "带班领导",
    "headcount": "到岗人数",
    "dress": "着装席卡",
    "business": "业务应答",
    "line": "线路质量",
    "power": "供电",
    "other_leader": "带班领导与值班表不符",
    "no_roster": "未报值班表",
    "too_few": "到岗人数不足",
}
"""What a fault belongs to (问题分类): the names of the checks, and what the comparison with the roster found."""
TALLY: Final = {
    "due": "应点",
    "present": "实点",
    "first": "一次接通",
    "makeup": "补点接通",
    "missing": "未接通",
    "excused": "免点",
    "at_post_rate": "在岗率",
    "picture_rate": "图像合格率",
    "sound_rate": "声音合格率",
    "connect_s": "平均接通用时(s)",
    "causes": "归因统计",
}
BULLETIN: Final = {
    "number": "文号",
    "issue": "期次",
    "version": "版本",
    "corrects": "更正说明",
    "kind": "点名类型",
    "called_at": "点名时间",
    "caller": "点名员",
    "reviewer": "复核人",
    "publisher": "发布人",
    "published_at": "发布时间",
    "seal": "封存校验码",
}
ISSUE: Final = "第{issue}期"
VERSION: Final = "第{version}版"
NUMBER: Final = "{prefix}〔{year}〕{issue}号"
SHEET_TITLE: Final = "{centre}视频点名结果表"
BULLETIN_TITLE: Final = "{centre}视频点名情况通报"
PARTS: Final = {
    "head": "基本情况",
    "figures": "点名统计",
    "problems": "突出问题",
    "praise": "表扬",
    "demands": "整改要求",
    "lines": "各单位结果",
    "own": "本单位结果",
    "attachments": "附件",
}
NO_PROBLEMS: Final = "本次点名未发现问题。"
REMEDY: Final = "请于{by}前完成整改并反馈。"
OBJECTIONS: Final = {"open": "待裁定", "upheld": "申诉成立", "rejected": "申诉不成立", "late": "逾期申诉"}
NOTED_BY: Final = "电话签收，{by}代记"
DRAFT: Final = "草稿，未发布"
DRILL: Final = "【演练】"
MONTH_TITLE: Final = "{centre}{month}视频点名月度统计"
MONTH: Final = (
    "排名", "单位", "区划代码", "应点", "实点", "到岗率", "一次接通率", "平均接通用时(s)", "平均得分", "图像合格率",
    "声音合格率", "县端问题", "线路平台问题", "较上月",
)  # fmt: skip
RECORD_OF_NODE: Final = "{node} 断联期间自记"
REVISED_BY_RECORD: Final = "{node} 恢复后上传断联期间自记，归因为{cause}"
STILL_FIRST: Final = "应答后首幅"
STILL_SECOND: Final = "应答后数秒"
STILL_LAST: Final = "结束时"
STILL_NUMBER: Final = "出示口令时"
CLIP_CUT: Final = "网关中断时录到此处"
UNKEPT: Final = "证据未能保存：{why}"
SLOW_PICTURE: Final = "首帧用时 {seconds:.1f} 秒"
PROVEN_BY_OWNER: Final = "县端逐像素核验为实时"
NUMBER_SEEN: Final = "画面中读到口令"
SEEN_BEFORE: Final = "与 {at} 点名中的画面逐像素相同，为录像"
LINE: Final = "时延 {rtt} ms，丢包 {loss:.1f}%，码率 {kbps} kbit/s"
ON_BATTERY: Final = "电池供电"
