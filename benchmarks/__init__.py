"""Programs that measure: they print tables and write JSON."""
