"""Ingestors: one file is one external system, read only (see `app.ports`)."""
