"""Migrations lead to exactly the schema of `app/db/tables.py`, on both databases."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from app.db.engine import open_database
from app.db.migrate import _config
from app.db.tables import metadata

TABLES = sorted(metadata.tables)


@pytest.fixture
def declared(request, database, tmp_path):
    """Answer a database that was made from the tables themselves."""
    if database.is_sqlite:
        url = f"sqlite:///{tmp_path}/declared.sqlite"
    else:
        url = request.getfixturevalue("fresh_postgres")()
    declared = open_database(url)
    metadata.create_all(declared.engine)
    yield declared
    declared.close()


def described(database):
    """Describe every table as the database itself does."""
    with database.engine.connect() as connection:
        inspector = inspect(connection)
        return {
            table: {
                "columns": [
                    {**column, "type": repr(column["type"])}
                    for column in sorted(inspector.get_columns(table), key=_name)
                ],
                "primary key": inspector.get_pk_constraint(table),
                "foreign keys": sorted(inspector.get_foreign_keys(table), key=_name),
                "unique": sorted(inspector.get_unique_constraints(table), key=_name),
                "indexes": sorted(map(_index, inspector.get_indexes(table)), key=_name),
            }
            for table in inspector.get_table_names()
            if table != "alembic_version"
        }


def _name(described):
    return described["name"]


def _index(index):
    options = {name: str(value) for name, value in index.get("dialect_options", {}).items()}
    return {**index, "dialect_options": options}


def test_the_migrated_schema_is_the_declared_one(database, declared):
    migrated, wanted = described(database), described(declared)

    assert sorted(migrated) == TABLES
    for table in TABLES:
        assert migrated[table] == wanted[table]


def test_nothing_is_left_for_another_migration(database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_there_is_one_line_of_revisions():
    revisions = list(ScriptDirectory.from_config(_config()).walk_revisions())

    assert len({revision.down_revision for revision in revisions}) == len(revisions)
    assert [r.revision for r in reversed(revisions)] == [
        f"{number:04d}" for number in range(1, len(revisions) + 1)
    ]
