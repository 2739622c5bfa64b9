"""`silian bench rollcall`: a hundred counties whose truth is known, called by a real gateway.

Real agents (many to a process), real MQTT and WHIP, packets coded beforehand: only the cameras' pixels and the wire's
faults are made up, and no way to a verdict is left out.
"""
