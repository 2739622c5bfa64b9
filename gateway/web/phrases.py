"""The catalogue of sentences that the API says to people: Chinese first, English second; one place for all.

An error's `code` is its key. `{...}` are parameters. The console has its own catalogue for its own words.
"""

from typing import Final

ERRORS: Final[dict[str, tuple[str, str]]] = {
    "internal": ("系统内部错误，已记录日志，请联系运维人员。", "Internal error; it was logged. Call operations."),
    "bad_input": ("请求内容有误。", "The request is wrong."),
    "bad_identity": ("名称不是有效的中心、节点、摄像机或事件编号。", "Not a valid centre, node, camera or event id."),
    "unknown_centre": ("指挥中心代码不在中心表中。", "No centre of the table bears this code."),
    "bad_schema": ("数据格式不符合要求。", "The data do not fit the expected form."),
    "bad_topic": ("主题名称无效，或属于其他节点。", "The topic is invalid or belongs to another node."),
    "bad_clock": ("时间与本机时钟相差过大，请先校时。", "The time is too far from this clock; set the clock first."),
    "too_large": ("请求内容超过大小限制。", "The request is too large."),
    "bad_media": ("音视频协商内容无法使用。", "The media description cannot be used."),
    "codec": (
        "画面的编码格式不在对方所列之内，平台不转码。",
        "The picture comes in a codec that was not offered; nothing is transcoded.",
    ),
    "unreadable_media": ("音视频协商内容无法解析。", "This is no session description."),
    "not_allowed": ("当前账号没有此项权限。", "This account lacks the right."),
    "not_authenticated": ("未登录或登录已失效，请重新登录。", "Not logged in, or the login has ended."),
    "locked": ("连续登录失败次数过多，请在 {seconds} 秒后再试。", "Too many failures; try again in {seconds} seconds."),
    "must_change_password": ("首次登录须先修改密码。", "Change the first password before anything else."),
    "not_found": ("未找到所请求的对象。", "No such thing here."),
    "wrong_moment": ("当前状态下不能进行此操作。", "This does not fit the present state."),
    "expired": ("已超过时限，未执行。", "Past its deadline; it was not carried out."),
    "spool_full": ("磁盘配额已用完，请稍后重试。", "The disk quota is used up; retry later."),
    "store_away": (
        "数据库暂时无法连接，未作任何确认，请稍后重试。",
        "The database is away; nothing was acknowledged, retry.",
    ),
    "link": ("无法连接对方。", "The other end cannot be reached."),
    "no_leader": (
        "正在切换主用副本，请稍候几秒再试。",
        "The replicas are changing hands; try again in a few seconds.",
    ),
    "refused": ("对方拒绝了请求。", "The other end refused."),
    "not_sent": ("通知未能发出。", "The message did not leave."),
    "needs_font": (
        "打印需要中文字体：请安装 fonts-noto-cjk，或在 reports.font 指定字体文件；Word 不需要。",
        "Printing needs a font with Chinese: install fonts-noto-cjk, or name a file in reports.font.",
    ),
    "report_incomplete": (
        "签发前须填写事发时间、地点、简要情况和报告人；数字减少或增幅过半须写明原因。",
        "Before signing: time, place, what happened, reporter, and the reason where a number fell or jumped.",
    ),
    "order_incomplete": (
        "签发前须填写标题、内容，并至少选择一个接收单位。",
        "Before signing: a title, what to do, and at least one unit below.",
    ),
    "warning_incomplete": (
        "送审前须写明标题、起始时间、影响范围、警示事项和应采取的措施（突发事件应对法第六十四条）；标题颜色须与级别一致，失效须晚于起始。",
        "Before review: headline (its colour is the level's), beginning, area, what to beware of, what to do.",
    ),
    "weather_signal": (
        "气象灾害预警信号只能由气象台站发布（气象灾害防御条例第三十条）：请转发气象台的预警，不得以本单位名义发布。",
        "Only a meteorological station issues weather signals: pass on the station's own warning.",
    ),
    "not_issuer": (
        "该单位无权发布此类事件或此级别的预警，见配置 warning.issuers；超出权限的请报上一级发布。",
        "This unit may not issue this event or colour; see warning.issuers, or report to the tier above.",
    ),
    "needs": ("本系统缺少此项功能所需的组件。", "This installation lacks a part that is needed for this."),
    "config": ("配置有误。", "The settings cannot work."),
    "method_not_allowed": ("此地址不支持该请求方法。", "This address does not take that method."),
    "unsupported_type": ("请求的内容类型不受支持。", "This content type is not taken here."),
    "not_acceptable": ("应答的内容类型不被请求方接受。", "The request does not accept the type of the answer."),
    "precondition_required": ("请求缺少会话标识。", "The request must name the session it means."),
    "precondition_failed": ("会话标识已过期。", "The session that the request means is another one now."),
    "validation": ("请求参数有误：{what}", "The request does not fit: {what}"),
}

FAULTS: Final[dict[str, str]] = {
    "missing": "缺少此项",
    "extra_forbidden": "不认识此项",
    "json_invalid": "不是有效的 JSON",
    "string_too_short": "过短",
    "string_too_long": "过长",
    "string_pattern_mismatch": "格式不对",
    "string_type": "应为文字",
    "int_parsing": "应为整数",
    "int_type": "应为整数",
    "float_parsing": "应为数字",
    "bool_parsing": "应为是或否",
    "enum": "不在允许的取值之内",
    "literal_error": "不在允许的取值之内",
    "greater_than": "过小",
    "greater_than_equal": "过小",
    "less_than": "过大",
    "less_than_equal": "过大",
    "datetime_from_date_parsing": "不是有效的时间",
    "datetime_parsing": "不是有效的时间",
    "timezone_aware": "时间须带时区",
    "list_type": "应为列表",
    "dict_type": "应为对象",
    "model_attributes_type": "应为对象",
    "too_short": "项数过少",
    "too_long": "项数过多",
}
"""Chinese for pydantic's error types; others show as 内容有误."""

UNKNOWN_FAULT: Final = "内容有误"

CONSOLE_MISSING: Final = (
    "控制台页面尚未构建。请在项目目录执行：make console",
    "The console is not built. In the project's directory type: make console",
)


def wants_chinese(accept_language: str | None) -> bool:
    """Choose the language: Chinese unless the caller asks for another one first."""
    first = (accept_language or "zh").split(",", 1)[0].strip().lower()
    return first in ("", "*") or first.startswith("zh")


def sentence(code: str, *, chinese: bool, **values: object) -> str:
    """Return the sentence for an error code in the chosen language; an unknown code speaks as `internal`."""
    phrase = ERRORS.get(code, ERRORS["internal"])[0 if chinese else 1]
    return phrase.format(**values) if values else phrase
