"""Event engines: small deterministic cores that play out what closed forms sum up."""
