"""`python -m edge_agent` is the command `silian-agent`."""

from edge_agent.cli import main

main()
