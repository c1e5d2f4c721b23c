"""Callboard: a Backstage-compatible platform backend."""
