"""Snapshots: one state for index and rows, whoever writes meanwhile and however much."""

from __future__ import annotations

import threading

import orjson
import psycopg
import pytest

from app.catalog import snapshot as module
from app.catalog.emission import Parent
from app.catalog.index_files import IndexFiles
from app.catalog.snapshot import Snapshots
from app.db.engine import open_database
from app.db.statements import Statements
from app.model.query import EVERYTHING, Order, equals
from tests.app.catalog.write_side import Graph, emission

ONE = Parent("one")


def ref(name):
    return f"component:default/{name}"


@pytest.fixture
def graph(database):
    return Graph(database)


@pytest.fixture
def snapshots(database):
    snapshots = Snapshots(database)
    yield snapshots
    snapshots.close()


def write(graph, *names, text="v1", source=ONE):
    graph.write(source, *(emission(ref(name), text=text) for name in names))


def names(snapshots, expression=EVERYTHING):
    """Answer what the index finds, with the description that the rows have."""
    with snapshots.open() as snapshot:
        ids = snapshot.ask(lambda index: list(index.match(expression)))
        found = [orjson.loads(document)["metadata"] for document in snapshot.documents(ids)]
    return {metadata["name"]: metadata["description"] for metadata in found}


# -- catching up ----------------------------------------------------------------------------------


def test_a_snapshot_sees_what_was_committed_before_it(graph, snapshots):
    assert names(snapshots) == {}
    write(graph, "a", "b")
    assert names(snapshots) == {"a": "v1", "b": "v1"}
    write(graph, "a", text="v2")
    graph.drop(ONE, ref("b"))
    assert names(snapshots) == {"a": "v2"}


def test_every_process_sees_it_whatever_it_saw_before(database, graph):
    others = [Snapshots(database) for _ in range(3)]
    for turn in range(6):
        write(graph, f"n{turn % 4}", text=f"t{turn}")
        if turn % 2:
            graph.drop(ONE, ref(f"n{(turn + 1) % 4}"))
        for number, other in enumerate(others):
            if turn % (number + 1) == 0:
                other.refresh()

    first, *rest = (names(other) for other in others)
    assert first
    assert rest == [first, first]
    for other in others:
        other.close()


@pytest.mark.parametrize("limit", [1, 3, 8, 50])
def test_many_changes_of_few_entities_are_none_the_less_all_seen(
    graph, snapshots, monkeypatch, limit
):
    """However many changes there are to catch up with, and however often one entity changed."""
    monkeypatch.setattr(module, "RELOAD_CHANGES", limit)
    write(graph, "first")
    snapshots.refresh()
    for turn in range(6):
        write(graph, "busy", text=f"t{turn}")
    write(graph, "last")
    graph.drop(ONE, ref("first"))

    assert names(snapshots) == {"busy": "t5", "last": "v1"}
    assert names(snapshots, equals("metadata.description", "t5")) == {"busy": "t5"}
    assert names(snapshots, equals("metadata.description", "t4")) == {}


def test_what_was_reloaded_can_be_followed_again(graph, snapshots, monkeypatch):
    monkeypatch.setattr(module, "RELOAD_CHANGES", 2)
    write(graph, *"abc")
    snapshots.refresh()
    write(graph, *"defg")
    assert len(names(snapshots)) == 7
    write(graph, "h")
    assert len(names(snapshots)) == 8


def test_refreshing_answers_the_state_and_leaves_nothing_for_the_next_reader(graph, snapshots):
    write(graph, "a", "b")

    assert snapshots.refresh() == 2
    assert snapshots.index.seq == 2
    assert snapshots.refresh() == 2


def test_merging_changes_no_answer(graph, snapshots):
    write(graph, *(f"n{number}" for number in range(1100)))
    snapshots.refresh()
    snapshots.merge()
    write(graph, *(f"m{number}" for number in range(1100)), source=Parent("two"))
    snapshots.refresh()
    assert snapshots.index.needs_merge

    snapshots.merge()

    assert not snapshots.index.needs_merge
    assert len(names(snapshots)) == 2200


# -- one state ------------------------------------------------------------------------------------


def test_rows_are_of_the_state_the_index_was_asked_in(graph, snapshots):
    write(graph, "a", "b")
    with snapshots.open() as snapshot:
        ids = snapshot.ask(lambda index: list(index.match(EVERYTHING)))
        write(graph, "a", text="v2")
        graph.drop(ONE, ref("b"))

        texts = [orjson.loads(d)["metadata"]["description"] for d in snapshot.documents(ids)]

    assert texts == ["v1", "v1"]


def test_a_snapshot_within_another_is_of_the_same_state(graph, snapshots):
    write(graph, "a")
    with snapshots.open() as outer:
        outer.ask(lambda index: index.seq)
        write(graph, "a", text="v2")

        with snapshots.open() as inner:
            (document,) = inner.find([ref("a")])

    assert orjson.loads(document)["metadata"]["description"] == "v1"
    assert names(snapshots) == {"a": "v2"}


def test_a_snapshot_apart_outlives_those_of_its_thread(graph, snapshots):
    write(graph, "a")
    with snapshots.open_apart() as apart:
        apart.ask(lambda index: index.seq)
        write(graph, "a", text="v2")
        assert names(snapshots) == {"a": "v2"}
        (document,) = apart.find([ref("a")])

    assert orjson.loads(document)["metadata"]["description"] == "v1"


def test_readers_see_whole_transactions_while_others_write(database, graph, snapshots):
    """All entities get one text in each transaction, so no reader may ever see two."""
    team = [f"n{number}" for number in range(5)]
    write(graph, *team)
    done, seen, failures = threading.Event(), list[set[str]](), list[Exception]()

    def read():
        try:
            while not done.is_set():
                seen.append(set(names(snapshots).values()))
                found = names(snapshots, equals("metadata.description", min(seen[-1])))
                assert len(found) in {0, len(team)}
            snapshots.close()
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for turn in range(8):
        write(graph, *team, text=f"t{turn}")
    done.set()
    for thread in readers:
        thread.join()

    assert failures == []
    assert all(len(texts) == 1 for texts in seen)
    assert names(snapshots) == dict.fromkeys(team, "t7")


# -- rows -----------------------------------------------------------------------------------------


def test_rows_are_found_by_ref_uid_and_number(graph, snapshots):
    write(graph, "a", "b")
    uid = graph.served(ref("a"))["metadata"]["uid"]
    with snapshots.open() as snapshot:
        a, nothing = snapshot.find([ref("a"), ref("z")])
        number = snapshot.id_of(ref("a"))

        assert snapshot.find([ref("a")]) == [a]
        assert snapshot.find([]) == []
        assert nothing is None
        assert snapshot.find_by_uid(uid) == a
        assert snapshot.find_by_uid("no-such") is None
        assert snapshot.id_of(ref("z")) is None
        assert snapshot.documents([999, number]) == [None, a]
        assert list(snapshot.stream([number, 999])) == [[a]]


def test_a_stream_comes_in_batches(graph, snapshots, monkeypatch):
    monkeypatch.setattr(module, "STREAM_BATCH", 2)
    write(graph, *"abcde")
    with snapshots.open() as snapshot:
        ids = snapshot.ask(lambda index: list(index.match(EVERYTHING)))
        batches = list(snapshot.stream(iter(ids)))

    assert [len(batch) for batch in batches] == [2, 2, 1]


def test_parents_are_told_the_oldest_first(graph, snapshots):
    one = graph.location("one", "location:default/one")
    two = graph.location("one", "location:default/two")
    for parent in (two, one):
        graph.write(Parent("one", parent), emission(ref("a")))
    with snapshots.open() as snapshot:
        number = snapshot.id_of(ref("a"))
        assert snapshot.parents([number, one]) == {number: [two, one]}


# -- connections ----------------------------------------------------------------------------------


def test_a_snapshot_that_failed_is_followed_by_one_that_works(graph, snapshots):
    write(graph, "a")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), snapshots.open() as snapshot:
            snapshot.ask(lambda _: 1 / 0)

    assert names(snapshots) == {"a": "v1"}


def test_a_snapshot_within_another_that_failed_leaves_the_outer_one_usable(graph, snapshots):
    write(graph, "a")
    with snapshots.open() as outer:
        with pytest.raises(ZeroDivisionError), snapshots.open():
            raise ZeroDivisionError
        assert outer.id_of(ref("a")) is not None


def test_a_connection_that_the_server_ended_costs_no_reader_an_error(migrated_postgres):
    url = migrated_postgres()
    graph = Graph(open_database(url))
    snapshots = Snapshots(graph.database)
    write(graph, "a")
    snapshots.refresh()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    assert names(snapshots) == {"a": "v1"}
    snapshots.close()
    graph.database.close()


def test_every_thread_reads_on_a_connection_of_its_own(graph, snapshots):
    write(graph, "a")
    found = list[dict[str, str]]()

    def work():
        found.append(names(snapshots))
        snapshots.close()

    with snapshots.open() as mine:
        mine.ask(lambda index: index.seq)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert found == [{"a": "v1"}] * 3


# -- the base in a file ---------------------------------------------------------------------------


@pytest.fixture
def filed(database, tmp_path, monkeypatch):
    """Make what stands for a process that shares the file with others."""
    monkeypatch.setattr(module, "FEW", 1)
    opened = []

    def open_filed(at=database):
        opened.append(Snapshots(at, IndexFiles(tmp_path / "index")))
        return opened[-1]

    yield open_filed
    for snapshots in opened:
        snapshots.close()


def kept(snapshots):
    snapshots.refresh()
    snapshots.keep()
    return snapshots


def test_a_process_starts_with_the_base_that_another_one_kept(graph, filed):
    write(graph, "a", "b")
    kept(filed())
    write(graph, "b", text="v2")
    graph.drop(ONE, ref("a"))
    write(graph, "c")

    later = filed()

    assert later.adopt()
    assert (later.index.base_seq, later.index.seq) == (2, 5)
    assert names(later) == {"b": "v2", "c": "v1"}
    assert not later.adopt()


def test_a_merge_is_done_once_for_all_processes(graph, filed, monkeypatch):
    monkeypatch.setattr(module, "KEEP_EVERY", 0.0)
    write(graph, "a")
    one, two = kept(filed()), kept(filed())
    write(graph, *(f"n{number}" for number in range(1100)))
    for snapshots in (one, two):
        snapshots.refresh()
        assert snapshots.index.needs_merge
    one.merge()
    one.keep()
    monkeypatch.setattr(two.index, "merge", lambda: pytest.fail("merged once more"))

    two.merge()

    assert two.index.base_seq == one.index.base_seq == 1101
    assert names(two) == names(one)


def test_keeping_waits_for_its_time(graph, filed):
    write(graph, "a")
    snapshots = kept(filed())
    before = snapshots.files.about()
    write(graph, "b")
    snapshots.refresh()
    snapshots.index.merge()

    snapshots.keep()

    assert snapshots.files.about() == before
    assert names(snapshots) == {"a": "v1", "b": "v1"}


def test_few_entities_are_not_worth_a_file(database, graph, tmp_path):
    write(graph, "a")
    snapshots = Snapshots(database, IndexFiles(tmp_path / "index"))

    kept(snapshots)

    assert snapshots.files.about() is None
    snapshots.close()


def execute(database, sql):
    with database.begin() as connection:
        Statements.on(connection).execute(sql)


def _other_history(database):
    """Put a database that is older back, and go on differently."""
    execute(database, "UPDATE change SET etag = 'other' WHERE seq = 2")


def _other_database(database):
    execute(database, "UPDATE sequence SET lineage = 'other'")


def _older_database(database):
    execute(database, "UPDATE sequence SET seq = 1")


@pytest.mark.parametrize("change", [_other_history, _other_database, _older_database])
def test_a_base_of_another_history_is_not_adopted(database, graph, filed, change):
    write(graph, "a", "b")
    kept(filed())

    change(database)

    assert not filed().adopt()


def test_an_old_file_is_not_adopted(graph, filed, monkeypatch):
    write(graph, "a")
    kept(filed())
    monkeypatch.setattr(module, "OLDEST", -1.0)

    assert not filed().adopt()


def test_a_damaged_file_is_passed_over_and_replaced(graph, filed):
    write(graph, "a")
    path = kept(filed()).files.path
    whole = path.read_bytes()
    path.write_bytes(whole[:-70] + b"x" * 70)
    later = filed()

    assert not later.adopt()
    assert names(kept(later)) == {"a": "v1"}
    assert filed().adopt()


def test_a_file_that_lacks_entities_is_not_believed(database, graph, filed):
    write(graph, "a", "b", "c")
    kept(filed())
    graph.drop(ONE, ref("a"))
    execute(database, "DELETE FROM change WHERE seq = 4")

    later = filed()
    later.adopt()

    assert set(names(later)) == {"b", "c"}


def test_a_folder_that_cannot_be_written_stops_nothing(database, graph, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FEW", 1)
    (tmp_path / "index").write_text("a file where the folder should be")
    write(graph, "a")
    snapshots = Snapshots(database, IndexFiles(tmp_path / "index"))

    assert not snapshots.adopt()
    assert names(kept(snapshots)) == {"a": "v1"}
    snapshots.close()


def test_the_first_process_has_the_base_made_and_the_next_ones_find_it(graph, filed):
    write(graph, "a", "b")
    made = []

    def make():
        made.append(1)
        filed().make(["metadata.name"])
        return True

    for snapshots in (filed(), filed()):
        snapshots.begin(make)
        assert snapshots.index.base_seq == 2
        assert names(snapshots) == {"a": "v1", "b": "v1"}
    assert made == [1]


def described(snapshots):
    """Answer how many entities have a description, which a column tells."""
    with snapshots.open() as snapshot:
        order = Order("metadata.description")
        return snapshot.ask(lambda index: index.total(index.match(EVERYTHING), order))


def test_the_base_is_there_before_its_columns_which_others_wait_for(graph, filed, monkeypatch):
    write(graph, "a", "b")
    maker = filed()
    monkeypatch.setattr(Snapshots, "_load_documents", lambda *_: pytest.fail("read again"))
    other = filed()

    def warm():
        other.warm(["metadata.description"])
        other.close()

    warming = threading.Thread(target=warm)

    def made():
        other.begin(lambda: pytest.fail("made again"))
        assert names(other) == {"a": "v1", "b": "v1"}
        warming.start()
        warming.join(0.2)
        assert warming.is_alive()

    maker.make(["metadata.description"], made)
    warming.join(10)

    # Another text than the base knows would have to be read from the documents.
    assert not warming.is_alive()
    assert described(other) == 2


def test_columns_that_the_file_lacks_are_made_by_each_process(graph, filed):
    write(graph, "a")
    filed().make([])
    other = filed()
    other.begin(lambda: pytest.fail("made again"))

    other.warm(["metadata.description"])

    assert described(other) == 1


def test_a_process_begins_without_a_base_if_none_could_be_made(graph, filed):
    write(graph, "a")
    snapshots = filed()

    snapshots.begin(lambda: False)

    assert names(snapshots) == {"a": "v1"}


def test_for_few_entities_no_base_is_made(database, graph, tmp_path):
    write(graph, "a")
    snapshots = Snapshots(database, IndexFiles(tmp_path / "index"))

    snapshots.begin(lambda: pytest.fail("made"))

    assert names(snapshots) == {"a": "v1"}
    snapshots.close()


def test_a_base_too_far_behind_is_not_adopted(graph, filed, monkeypatch):
    write(graph, "a")
    kept(filed())
    write(graph, *"bcd")
    monkeypatch.setattr(module, "RELOAD_CHANGES", 2)

    assert not filed().adopt()
