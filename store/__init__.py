"""Content-addressed bytes: CIDs, a local store of them, and the objects that travel (updates and models)."""
