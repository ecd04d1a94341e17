"""Facts: authored as TOML, compiled to one file, read as typed entries."""
