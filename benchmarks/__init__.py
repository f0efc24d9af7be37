"""Programs that print tables and draw plots."""
