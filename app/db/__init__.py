"""The database: its schema, its migrations, and the only ways to open a transaction."""
