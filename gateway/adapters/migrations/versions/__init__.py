"""Revisions, one branch per room: `<room>_0001.py`. A released revision is never changed."""
