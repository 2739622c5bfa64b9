"""What a printed report says: Chinese, in one place. The console translates by itself."""

from typing import Final

KINDS: Final = {"initial": "首报", "followup": "续报", "verified": "核报", "final": "终报"}
GRADES: Final = {1: "特别重大", 2: "重大", 3: "较大", 4: "一般", None: "未定"}
CATEGORIES: Final = {
    "work": "生产安全事故",
    "traffic": "道路交通事故",
    "fire": "火灾事故",
    "natural": "自然灾害",
    "other": "其他",
}
FLAGS: Final = {
    "time": "敏感时间",
    "people": "敏感人群",
    "place": "敏感地点",
    "kind": "敏感类型",
    "leaders": "领导特别关注",
}
LEVELS: Final = {1: "Ⅰ级", 2: "Ⅱ级", 3: "Ⅲ级", 4: "Ⅳ级"}
VERIFICATION: Final = {"verified": "已核实", "unverified": "待核实"}
UNKNOWN: Final = "不详"
HEADING: Final = "突发事件信息{kind}"
NUMBERED: Final = "突发事件信息续报（第{number}期）"
CORRECTED: Final = "更正第{version}版"
DRILL: Final = "【演练】"
DRAFT: Final = "草稿，未签发"
REASON: Final = "变动原因：{reason}"
CHANGED: Final = "本次变化"
FIELDS: Final = {
    "title": "事件名称",
    "category": "类型",
    "occurred_at": "事发时间",
    "place": "地点",
    "centre": "行政区划",
    "longitude": "经度",
    "latitude": "纬度",
    "summary": "简要情况",
    "measures": "已采取措施",
    "reporter": "报告人",
    "reporter_phone": "报告人电话",
    "source": "信息来源",
    "deaths": "死亡（人）",
    "serious": "重伤（人，含急性中毒）",
    "minor": "轻伤（人）",
    "missing": "失联（人）",
    "trapped": "被困（人）",
    "moved": "转移（人）",
    "loss_yuan": "直接经济损失（元）",
    "unit_profile": "单位概况",
    "course": "经过",
    "scope": "影响范围",
    "trend": "趋势",
    "leaders": "领导到位",
    "commander": "现场指挥",
    "commander_post": "现场指挥职务",
    "commander_phone": "现场指挥电话",
    "requests": "请求事项",
    "attachments": "附件",
    "flags": "敏感标志",
    "response_level": "响应级别",
}
HEAD: Final = {
    "serial": "编号",
    "version": "版本",
    "kind": "报次",
    "known_at": "接报时间",
    "confirmed": "核定等级",
    "possible": "初判（可能）等级",
    "signed_by": "签发人",
    "signed_at": "签发时间",
    "to": "报送对象",
    "delivered": "送达时间",
    "acknowledged": "签收",
}
