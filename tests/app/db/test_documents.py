"""Compressed documents: whatever was packed, by whom and when, can be read."""

from __future__ import annotations

import threading

import orjson
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db.documents import SAMPLES, DocumentCodec
from app.db.statements import Statements


def document(number, field="description"):
    text = f"Service number {number} of the shop, which serves {number * 7919} customers"
    return orjson.dumps(
        {
            "apiVersion": "backstage.io/v1alpha1",
            "kind": "Component",
            "metadata": {"name": f"shop-{number}", field: text, "labels": {"n": str(number)}},
            "spec": {"type": "service", "lifecycle": "production", "owner": f"team-{number % 9}"},
        }
    )


def samples(field="description"):
    return [document(number, field) for number in range(SAMPLES)]


def dictionary_of(frame):
    return zstandard.get_frame_parameters(frame).dict_id


@pytest.fixture
def codec(database):
    return DocumentCodec(database)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_come_back_as_they_were(codec, content):
    assert codec.unpack(codec.pack(content)) == content


def test_a_dictionary_is_learned_once_there_is_enough_to_learn_from(codec):
    codec.learn(samples()[:-1])
    assert codec.wants(1)

    codec.learn(samples())

    assert not codec.wants(1)
    assert dictionary_of(codec.pack(document(1))) == 1


def test_a_dictionary_makes_documents_smaller(codec):
    before = codec.pack(document(9000))
    codec.learn(samples())

    after = codec.pack(document(9000))

    assert len(after) < len(before) / 1.5


def test_documents_of_every_dictionary_stay_readable(database, codec):
    frames = [codec.pack(document(0))]
    for number in (1, 2, 4):
        codec.learn(samples(f"field{number}"), number)
        frames.append(codec.pack(document(number)))

    assert [dictionary_of(frame) for frame in frames] == [0, 1, 2, 4]
    for reader in (codec, DocumentCodec(database)):
        assert list(map(reader.unpack, frames)) == [document(n) for n in (0, 1, 2, 4)]


def test_a_better_dictionary_makes_worse_ones_unwanted(codec):
    codec.learn(samples(), 3)

    assert [codec.wants(number) for number in (1, 3, 4)] == [False, False, True]
    codec.learn(samples("other"), 2)

    assert dictionary_of(codec.pack(document(1))) == 3


def test_a_process_reads_what_another_one_learned_and_packed(database, codec):
    other = DocumentCodec(database)
    other.pack(document(1))
    codec.learn(samples())

    assert other.unpack(codec.pack(document(1))) == document(1)
    assert dictionary_of(other.pack(document(1))) == 1


def test_of_two_processes_that_learn_at_once_one_is_followed(database):
    """They learn the same number from different samples; what either packs both can read."""
    codecs = [DocumentCodec(database) for _ in range(3)]
    start = threading.Barrier(len(codecs))

    def learn(codec, number):
        start.wait()
        codec.learn(samples(f"field{number}"))

    threads = [
        threading.Thread(target=learn, args=(codec, number)) for number, codec in enumerate(codecs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    frames = [codec.pack(document(number)) for number, codec in enumerate(codecs)]
    assert {dictionary_of(frame) for frame in frames} == {1}
    for codec in (*codecs, DocumentCodec(database)):
        assert list(map(codec.unpack, frames)) == [document(number) for number in range(3)]


def test_threads_may_share_it(codec):
    codec.learn(samples())
    wrong = list[int]()

    def work(start):
        for number in range(start, start + 200):
            if codec.unpack(codec.pack(document(number))) != document(number):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n * 1000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_it_may_read_while_a_transaction_writes(database, codec):
    codec.learn(samples())
    frame = codec.pack(document(1))
    other = DocumentCodec(database)

    with database.begin() as connection:
        Statements.on(connection).execute("INSERT INTO stitch VALUES (1, '{}')")
        assert other.unpack(frame) == document(1)


def test_a_frame_whose_dictionary_is_nowhere_says_so(codec):
    content = zstandard.train_dictionary(4096, samples(), dict_id=77, d=8, k=50)
    frame = zstandard.ZstdCompressor(dict_data=content).compress(document(1))

    with pytest.raises(KeyError, match="77"):
        codec.unpack(frame)
