"""Several processes read the same Location at once: what is served is what one of them read."""

from __future__ import annotations

import pytest

from tests.app.catalog.platform import Platform, document

ONE, TWO = "component:default/one", "component:default/two"


@pytest.fixture
def platform(database, tmp_path):
    platform = Platform(database, tmp_path)
    platform.write("root.yaml", document("one", lifecycle="first"))
    platform.root("root.yaml")
    return platform


def lifecycles(platform):
    return [platform.served()[ref]["spec"]["lifecycle"] for ref in platform.refs("component")]


def location(platform):
    return platform.rows("SELECT ref_id FROM reading")[0][0]


def waiting(platform):
    return [ref_id for (ref_id,) in platform.rows("SELECT ref_id FROM refresh")]


def interrupted(platform, meanwhile):
    """Answer another process that reads files, and stops once for something after it has."""
    slow = Platform(platform.database, platform.folder)
    read, left = slow.processor.file, [meanwhile]

    class Slow:
        def __getattr__(self, name):
            return getattr(slow.processor, name)

        def file(self, content, origin):
            processed = read(content, origin)
            if left:
                left.pop()()
            return processed

    object.__setattr__(slow.ingest, "processor", Slow())
    return slow


def test_who_was_overtaken_writes_nothing_and_asks_for_another_reading(platform):
    def overtake():
        platform.write("root.yaml", document("one", lifecycle="third"))
        platform.ingest.locations([location(platform)])

    platform.write("root.yaml", document("one", lifecycle="second"))
    interrupted(platform, overtake).ingest.locations([location(platform)])

    assert lifecycles(platform) == ["third"]
    assert waiting(platform) == [location(platform)]
    assert platform.ingest.locations(waiting(platform)).counts.unchanged == 1


def test_what_both_read_alike_is_written_once(platform):
    platform.write("root.yaml", document("one", lifecycle="second"))
    ref_id = location(platform)
    before = platform.rows("SELECT max(seq) FROM change")[0][0]

    interrupted(platform, lambda: platform.ingest.locations([ref_id])).ingest.locations([ref_id])

    assert lifecycles(platform) == ["second"]
    assert platform.rows("SELECT max(seq) FROM change")[0][0] == before + 1


def test_who_overtakes_in_the_middle_of_writing_is_the_one_that_counts(database, tmp_path):
    names = [f"c{n}" for n in range(600)]
    platform = Platform(database, tmp_path)

    def write(lifecycle):
        documents = (document(name, lifecycle=lifecycle) for name in names)
        platform.write("root.yaml", "---\n".join(documents))

    write("first")
    platform.root("root.yaml")
    ref_id = location(platform)
    left = [True]

    def overtake(_counts):
        if left:
            left.pop()
            write("third")
            platform.ingest.locations([ref_id])

    slow = Platform(database, tmp_path, progress=overtake)
    write("second")
    slow.ingest.locations([ref_id])

    assert set(lifecycles(platform)) == {"third"}
    assert waiting(platform) == [ref_id]
    assert platform.ingest.locations([ref_id]).counts.written == 0


def test_an_entity_that_is_deleted_while_its_location_is_read_comes_back(platform):
    (uid,) = platform.rows("SELECT uid FROM searchable s JOIN ref r ON r.id = s.id "
                           "WHERE r.ref = ?", ONE)[0]  # fmt: skip

    platform.write("root.yaml", document("one", lifecycle="second"))
    slow = interrupted(platform, lambda: platform.commands.delete(uid))
    slow.ingest.locations([location(platform)])
    platform.ingest.locations(waiting(platform))

    assert lifecycles(platform) == ["second"]


def test_a_location_that_was_removed_while_it_was_read_is_not_asked_for(platform):
    ref_id = location(platform)
    platform.write("root.yaml", document("two"))

    slow = interrupted(platform, lambda: platform.ingest.forget_source("config"))
    slow.ingest.locations([ref_id])

    assert platform.refs() == []
    assert waiting(platform) == []
