"""The whole schema (SQLAlchemy Core); `migrations/` holds how it came to be.

The graph lives in five tables (`docs/architecture.md`): `ref` gives every entity ref a number,
`emission` says which location or source emitted which entity, `relation` holds the edges, `entity`
the ready answers, and `change` the history. Documents inside `emission` and `change` are zstandard
frames, written with one of the dictionaries in `dictionary` (`app.db.documents`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)
# SQLite numbers rows only in a column that is exactly INTEGER PRIMARY KEY.
Id = BigInteger().with_variant(Integer, "sqlite")
Instant = DateTime(timezone=True)

# One row: the newest sequence number. Taking numbers from it inside the writing transaction makes
# sequence order commit order, which a database sequence is not. `lineage` tells this database from
# others, in which the same number means something else. The state at `oldest`, and at every number
# since, can still be told from the history (`app.catalog.retention`).
sequence = Table(
    "sequence",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("lineage", Text, nullable=False),
    Column("oldest", BigInteger, nullable=False, server_default="0"),
)

# Compression dictionaries; a frame names the one it needs, so none is ever removed.
dictionary = Table(
    "dictionary",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# Every ref that was ever mentioned, also by a relation whose target does not exist.
ref = Table(
    "ref",
    metadata,
    Column("id", Id, primary_key=True),
    Column("ref", Text, nullable=False, unique=True),
)

# What sources and locations emitted: processed, but not stitched. `parent` is the Location that
# emitted it, 0 for what a source emitted itself and -1 for what nobody emits any more (an orphan).
# `location` is where it was found and the key of the claim: two emissions from one place share a
# ref, two from different places contend for it. At most one emission of a ref is `claimed`: the one
# whose content is served. `document` is the last valid content, `unprocessed` what was read last if
# that could not be processed.
emission = Table(
    "emission",
    metadata,
    Column("id", Id, primary_key=True),
    Column("ref_id", Id, ForeignKey("ref.id"), nullable=False),
    Column("parent", Id, nullable=False),
    Column("source", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("line", Integer, nullable=False, default=0),
    Column("hash", LargeBinary, nullable=False),
    Column("claimed", Boolean, nullable=False, default=False),
    Column("document", LargeBinary),
    Column("unprocessed", LargeBinary),
    Column("discovered_at", Instant, nullable=False),
    UniqueConstraint("ref_id", "parent", "source"),
    Index("ix_emission_parent", "parent", "source"),
)
# "At most one is claimed" is held by the database.
Index(
    "uq_emission_claimed",
    emission.c.ref_id,
    unique=True,
    sqlite_where=emission.c.claimed,
    postgresql_where=emission.c.claimed,
)

# Edges as the origin's author wrote them; the other direction is derived when stitching.
relation = Table(
    "relation",
    metadata,
    Column("origin", Id, primary_key=True, autoincrement=False),
    Column("type", Text, primary_key=True),
    Column("target", Id, primary_key=True, autoincrement=False),
    Index("ix_relation_target", "target", "type", "origin"),
    sqlite_with_rowid=False,
)

# What is served: one row per current entity, `id` being that of its ref. `document` is the ready
# JSON.
entity = Table(
    "entity",
    metadata,
    Column("id", Id, ForeignKey("ref.id"), primary_key=True, autoincrement=False),
    Column("etag", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

# What the read index needs to know of each entity (`app.index.terms`), apart from the documents so
# that a process which starts reads little.
searchable = Table(
    "searchable",
    metadata,
    Column("id", Id, ForeignKey("entity.id"), primary_key=True, autoincrement=False),
    Column("uid", Text, nullable=False, unique=True),
    Column("terms", LargeBinary, nullable=False),
)

# The history of the graph, append-only. `document` is null when the entity was deleted; with a
# `base` it is what differs from the whole document of that earlier change of the same entity
# (`app.catalog.change_store`).
change = Table(
    "change",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("entity_id", Id, nullable=False),
    Column("operation", Text, nullable=False),  # "create", "update" or "delete"
    Column("etag", Text, nullable=False),
    Column("document", LargeBinary),
    Column("base", BigInteger),
    Column("cause", Text, nullable=False),  # JSON, see `app.catalog.causes`
    Column("at", Instant, nullable=False),
    Index("ix_change_entity_id", "entity_id", "seq"),
)

# What is wrong with an emission: a file that could not be read, an entity that is not valid. A
# `notice` is no failure, and is not in the status of what is served.
problem = Table(
    "problem",
    metadata,
    Column("id", Id, primary_key=True),
    Column("emission_id", Id, ForeignKey("emission.id", ondelete="CASCADE"), nullable=False),
    Column("location", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("column", Integer, nullable=False),
    Column("pointer", Text, nullable=False),
    Column("error", Text, nullable=False),  # JSON: name, message, cause as served in `status`
    Column("notice", Boolean, nullable=False, server_default=false()),
    Column("at", Instant, nullable=False),
    Index("ix_problem_emission_id", "emission_id"),
)

# How each Location was last read. `fingerprint` is JSON, what every place that was read held then:
# while they all hold the same there is nothing to do. One that never was `good` is not served.
# `reader` stands for the reading that wrote last: another one, begun before, finds out by it.
reading = Table(
    "reading",
    metadata,
    Column("ref_id", Id, primary_key=True, autoincrement=False),
    Column("fingerprint", Text, nullable=False),
    Column("good", Boolean, nullable=False),
    Column("read_at", Instant, nullable=False),
    Column("reader", Text, nullable=False, server_default=""),
)

# Work that follows from a committed change and is done later, by any worker.
stitch = Table(
    "stitch",
    metadata,
    Column("ref_id", Id, primary_key=True, autoincrement=False),
    Column("cause", Text, nullable=False),
)
refresh = Table(
    "refresh",
    metadata,
    Column("ref_id", Id, primary_key=True, autoincrement=False),
    Column("request", Text, nullable=False),  # tells one call from the next
    Column("asked_at", Instant, nullable=False),
    Column("holder", Text),  # the lease of who answers it now
)

# Locations registered through the API.
location = Table(
    "location",
    metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("entity_ref", Text, nullable=False),
    UniqueConstraint("type", "target"),
)

# One attempt of one source.
run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("state", Text, nullable=False),  # "running", "done", "failed" or "stopped"
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("counts", Text, nullable=False),  # JSON
    Column("error", Text),
    Index("ix_run_source", "source", "started_at"),
)

# Work that one process at a time does. Whoever holds a lease renews it; one that is not renewed in
# time is free. `fence` grows with every holder, so that one who lost it finds out before it writes.
# Work that is done again and again is due at `next_at` (`app.db.leases`).
lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("until", Instant, nullable=False),
    Column("taken_at", Instant, nullable=False),
    Column("next_at", Instant),
)

# Sources that push their entities: the version they sent last and what stands for its content.
push = Table(
    "push",
    metadata,
    Column("source", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

# Outgoing webhooks: up to which change each has delivered, where the delivery under way ends, and
# what it waits for.
hook = Table(
    "hook",
    metadata,
    Column("name", Text, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant),
    Column("error", Text),
)

# Deliveries that were given up. One that was asked for is tried once more.
dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", Id, primary_key=True),
    Column("hook", Text, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("asked_at", Instant),
    Index("ix_dead_letter_hook", "hook", "id"),
)

# Public halves of the keys that sign tokens; the private ones never leave their process.
signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("plugin", Text, nullable=False),  # "auth" signs for users, "plugin:<id>" for services
    Column("jwk", Text, nullable=False),  # JSON
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

# What a user may claim to own, as of the last sign-in.
user_info = Table(
    "user_info",
    metadata,
    Column("user_ref", Text, primary_key=True),
    Column("claims", Text, nullable=False),  # JSON
    Column("updated_at", Instant, nullable=False),
)
