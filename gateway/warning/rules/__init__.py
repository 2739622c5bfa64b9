"""Pure rules of warnings: who may issue what, whom a warning concerns, calling until somebody answers."""
