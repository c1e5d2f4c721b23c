"""Alembic's entry point: it runs on the connection that `app.db.migrate` hands over."""

from alembic import context

from app.db.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
context.run_migrations()
