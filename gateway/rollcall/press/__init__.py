"""From the end of a roll call to its signed bulletin (通报).

Two persons look at the verdicts (双人复核), units may object for a time, then the bulletin is numbered, sealed and
sent to each unit, which signs for it (签收). What is published is never changed: a correction is a new version.
"""
