"""Benchmarks, and bad lines made on purpose for them.

`silian bench media` measures the media engine beside its peers, `silian bench alarms` the alarm
plane from the edge to the nation, `silian bench chaos` breaks everything and looks what is left.

Each thing measured runs in a process of its own, the traffic comes from another one, and the figures are read from the
kernel's clocks. Commands stand in `command`; every number printed was measured in the run that prints it. Nothing here
runs in production, and no room knows of it.
"""
