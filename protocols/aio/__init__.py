"""Shells that both ends share: sockets, disks and clocks around the pure rules of `protocols`."""
