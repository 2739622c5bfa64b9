"""The centre's duty room: links, alarms, media, roll call, dispatch and the operators' console of one tier.

Rooms meet only in `gateway.app`; adapters stand behind `gateway.ports`.
"""
