"""The county's hands: cameras, sensors, spool and publisher on command-centre hardware."""
