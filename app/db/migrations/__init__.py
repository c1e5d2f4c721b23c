"""Alembic's migrations, run by `app.db.migrate`; additive within a minor version."""
