"""`merit demo`: a whole market on one machine, every party a process of its own."""
