from edge_agent.box import BoxWatch, own_rss_bytes


def _machine(folder, busy=100, idle=100):
    proc, sys = folder / "proc", folder / "sys"
    (proc).mkdir(exist_ok=True)
    (proc / "stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 2 3\n")
    (proc / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n")
    (proc / "uptime").write_text("12345.67 1.0\n")
    for number, celsius in enumerate((41000, 55500)):
        zone = sys / f"class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "temp").write_text(f"{celsius}\n")
    supply = sys / "class/power_supply/AC"
    supply.mkdir(parents=True, exist_ok=True)
    (supply / "online").write_text("0\n")
    battery = sys / "class/power_supply/BAT0"
    battery.mkdir(parents=True, exist_ok=True)
    (battery / "capacity").write_text("37\n")
    return proc, sys


def test_a_machine_is_read(tmp_path):
    proc, sys = _machine(tmp_path)
    watch = BoxWatch(tmp_path, proc=proc, sys=sys)
    assert watch.look().cpu_ratio is None
    _machine(tmp_path, busy=175, idle=125)
    box = watch.look()
    assert (box.cpu_ratio, box.memory_ratio, box.temperature_celsius) == (0.75, 0.75, 55.5)
    assert (box.uptime_s, box.on_battery) == (12345.67, True)
    assert box.battery_ratio == 0.37
    assert box.disk_free_bytes > 0


def test_what_a_machine_does_not_tell_is_none(tmp_path):
    box = BoxWatch(tmp_path / "none", proc=tmp_path, sys=tmp_path).look()
    told = {"spool_records", "spool_bytes"}
    assert all(value is None for name, value in box.model_dump().items() if name not in told)
    assert own_rss_bytes(tmp_path) == 0
    assert own_rss_bytes() > 1_000_000
