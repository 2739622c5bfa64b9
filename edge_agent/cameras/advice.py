"""What an operator is told about each named camera fault: what it is, and which setting to change. Chinese first."""

ADVICE: dict[str, tuple[str, str]] = {
    "starting": ("摄像机正在启动", "the camera is starting"),
    "unreachable": (
        "连不上摄像机：检查 url 中的地址、端口和密码，以及网线",
        "the camera cannot be reached: check address, port and password in url, and the cable",
    ),
    "source_lost": ("摄像机断开了连接：正在重连", "the camera ended the session: connecting again"),
    "no_video": ("该地址没有视频：检查 url 的码流路径", "no video at this address: check the stream's path in url"),
    "codec": ("编码不是 H.264：在摄像机中把该码流设为 H.264", "not H.264: set this stream to H.264 in the camera"),
    "b_frames": (
        "码流含 B 帧：在摄像机中关闭 B 帧，或把 H.264 档次设为 Baseline",
        "the stream has B-frames: switch them off in the camera, or set the H.264 profile to Baseline",
    ),
    "key_frames_apart": (
        "关键帧间隔超过 4 秒：在摄像机中把 I 帧间隔设为 1 至 2 秒",
        "key frames are more than 4 s apart: set the I-frame interval to 1 to 2 s in the camera",
    ),
    "no_packets": ("连接正常但没有画面数据：重启摄像机", "connected, but no picture comes: restart the camera"),
    "no_device": (
        "没有该采集设备：检查 device，并把运行用户加入 video 组",
        "no such capture device: check device, and put the user into the group video",
    ),
    "unreadable": ("视频文件读不出：检查 path 和权限", "the file cannot be read: check path and permissions"),
    "colour_bars": (
        "采集设备给出的是彩条，不是摄像机画面：检查摄像机是否开机、视频线是否接好",
        "the device gives colour bars, no camera: check that the camera is on and its cable is plugged in",
    ),
    "thumb_lost": (
        "子码流没有画面：检查 thumb_url，原因见日志；视频墙改用主码流",
        "the sub-stream gives no picture: check thumb_url, the log says why; walls get the main stream",
    ),
    "sound_lost": (
        "没有声音：检查 [audio] input 的声卡或文件，并把运行用户加入 audio 组",
        "no sound: check the sound card or file of [audio] input, and put the user into the group audio",
    ),
    "speaker_lost": (
        "通话声音放不出来：检查 [audio] output 的声卡或文件，并把运行用户加入 audio 组",
        "the sound of the call cannot be played: check the card or file of [audio] output, and the group audio",
    ),
    "line_thin": (
        "线路带不动该摄像机的码率：在摄像机中降低码率，或设置 thumb_url（子码流），或扩容线路",
        "the line does not carry this camera's bit rate: lower it in the camera, set thumb_url, or get a wider line",
    ),
    "source_error": ("画面源出错：详见日志", "the source failed: see the log"),
}


def advice(fault: str | None) -> str:
    """Return both texts for a fault; the bare name for one that is not in the catalogue."""
    if fault is None:
        return ""
    return " / ".join(ADVICE[fault]) if fault in ADVICE else fault
