"""Cameras: a port and one file per kind; pictures are passed through or encoded once."""
