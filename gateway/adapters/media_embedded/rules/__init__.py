"""Rules of the embedded engine: no sockets, no clock, no tasks; time and randomness are arguments."""
