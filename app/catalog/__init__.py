"""Entities: ingest, process, relate, stitch, query (`/api/catalog`)."""
