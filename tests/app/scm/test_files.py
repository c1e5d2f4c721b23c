"""Reading files: patterns, what is no file, limits, and knowing that nothing changed."""

from __future__ import annotations

import os
import threading
import time

import pytest

from app.errors import InputError, NotFoundError
from app.scm.files import FileReader
from app.scm.reading import ReadingLimits, UnreadableError, spoken


@pytest.fixture
def reader(tmp_path):
    return FileReader(tmp_path, ReadingLimits(max_bytes=100, max_files=5, max_total_bytes=300))


def write(path, data=b"kind: Component\n", *, age=60.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def settled(reader, target):
    """Read until the fingerprint no longer remembers how young the file is."""
    reading = reader.read(target)
    return reading.fingerprint


def test_an_absolute_path_is_read(reader, tmp_path):
    path = write(tmp_path / "a.yaml")

    reading = reader.read(str(path))

    assert [(c.location, c.data) for c in reading.contents] == [
        (f"file:{path}", b"kind: Component\n")
    ]


def test_a_relative_path_starts_at_the_root_and_stays_relative(reader, tmp_path):
    write(tmp_path / "a" / "b.yaml")

    assert reader.read("./a/../a/b.yaml").contents[0].location == "file:a/b.yaml"


def test_a_pattern_reads_what_it_matches_in_order(reader, tmp_path):
    for name in ("b.yaml", "a.yaml", "c.txt", "d/e.yaml", ".hidden.yaml"):
        write(tmp_path / "catalog" / name)
    (tmp_path / "catalog" / "dir.yaml").mkdir()
    os.mkfifo(tmp_path / "catalog" / "pipe.yaml")

    reading = reader.read(f"{tmp_path}/catalog/*.yaml")

    assert [c.location for c in reading.contents] == [
        f"file:{tmp_path}/catalog/a.yaml",
        f"file:{tmp_path}/catalog/b.yaml",
    ]
    everywhere = reader.read(f"{tmp_path}/**/{{b,e}}.yaml")
    assert [c.location.rpartition("/")[2] for c in everywhere.contents] == ["b.yaml", "e.yaml"]


def test_a_name_that_is_not_utf_8_is_written_so_that_it_can_be_stored(reader, tmp_path):
    write(tmp_path / os.fsdecode(b"\xff.yaml"))
    write(tmp_path / os.fsdecode(b"\xfe.yml"), b"x" * 101)

    reading = reader.read(f"{tmp_path}/*.yaml")
    with pytest.raises(UnreadableError) as raised:
        reader.read(f"{tmp_path}/*.yml")

    assert [content.location for content in reading.contents] == [f"file:{tmp_path}/?.yaml"]
    assert str(raised.value).encode("utf-8")


def test_nothing_is_not_found(reader, tmp_path):
    for target in (f"{tmp_path}/absent.yaml", f"{tmp_path}/no/*.yaml", f"{tmp_path}/a.yaml/x"):
        with pytest.raises(NotFoundError) as error:
            reader.read(target)
        assert spoken(error.value) == f"NotFoundError: file {target} does not exist"


def test_what_is_no_file_is_an_error_and_never_waited_for(reader, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    for target in ("pipe", "/dev/zero", "/dev/tty", "."):
        with pytest.raises(UnreadableError, match=f"^file {target} could not be read, Error: "):
            reader.read(target)
    assert time.monotonic() - began < 10


def test_a_directory_is_refused_in_the_words_of_node(reader, tmp_path):
    with pytest.raises(UnreadableError, match="Error: EISDIR: is a directory, open '"):
        reader.read(f"{tmp_path}/")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_may_not_be_listed_is_an_error_and_not_empty(reader, tmp_path):
    write(tmp_path / "closed" / "a.yaml")
    (tmp_path / "closed").chmod(0)

    with pytest.raises(UnreadableError, match="EACCES"):
        reader.read("closed/*.yaml")


@pytest.mark.parametrize("target", ["a\0b", "x" * 5000, "x\ud800/*", "+(a)*"])
def test_a_target_that_cannot_be_a_path_is_an_error(reader, target):
    with pytest.raises((UnreadableError, NotFoundError)):
        reader.read(target)


def test_links_are_followed_and_loops_are_not_an_endless_walk(reader, tmp_path):
    write(tmp_path / "real" / "a.yaml")
    (tmp_path / "link.yaml").symlink_to("real/a.yaml")
    (tmp_path / "real" / "loop").symlink_to("..")
    (tmp_path / "self.yaml").symlink_to("self.yaml")
    (tmp_path / "dangling.yaml").symlink_to("nowhere")

    found = [c.location for c in reader.read(f"{tmp_path}/**/*.yaml").contents]

    assert found == [f"file:{tmp_path}/link.yaml", f"file:{tmp_path}/real/a.yaml"]
    with pytest.raises(UnreadableError, match="ELOOP"):
        reader.read("self.yaml")


def test_sizes_and_numbers_are_bounded(reader, tmp_path):
    write(tmp_path / "large.yaml", b"x" * 101)
    for number in range(6):
        write(tmp_path / "many" / f"{number}.yaml")
    for number in range(4):
        write(tmp_path / "heavy" / f"{number}.yaml", b"x" * 90)

    with pytest.raises(UnreadableError, match="more than the 100 bytes allowed"):
        reader.read("large.yaml")
    with pytest.raises(UnreadableError, match="matches 6 files, more than the 5 allowed"):
        reader.read("many/*")
    with pytest.raises(UnreadableError, match="holds 360 bytes, more than the 300 allowed"):
        reader.read("heavy/*")


def test_an_unchanged_file_is_not_read_again(reader, tmp_path):
    path = write(tmp_path / "a.yaml")
    os.utime(path)
    then = time.time() - 60
    os.utime(path, (then, then))
    first = reader.read("a.yaml")

    # The inode changed just now, so that the first fingerprint still doubts.
    assert reader.read("a.yaml", first.fingerprint) is None


def test_a_file_is_read_once_more_when_it_is_old_enough_and_then_never(tmp_path, monkeypatch):
    reader = FileReader(tmp_path)
    write(tmp_path / "a.yaml")
    young = reader.read("a.yaml").fingerprint
    later = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)

    old = reader.read("a.yaml", young)

    assert " " in young
    assert " " not in old.fingerprint
    assert reader.read("a.yaml", old.fingerprint) is None


@pytest.mark.parametrize(
    "change", ["content", "rewritten within the clock's tick", "renamed", "added"]
)
def test_a_change_is_noticed(reader, tmp_path, change):
    path = write(tmp_path / "a.yaml")
    before = reader.read("*.yaml").fingerprint
    match change:
        case "content":
            write(path, b"kind: API\n")
        case "rewritten within the clock's tick":
            found = path.stat()
            path.write_bytes(b"kind: Different\n")
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        case "renamed":
            path.rename(tmp_path / "b.yaml")
        case "added":
            write(tmp_path / "b.yaml")

    assert reader.read("*.yaml", before) is not None


def test_a_file_rewritten_under_the_same_signs_is_noticed_while_it_is_young(tmp_path):
    reader = FileReader(tmp_path)
    path = write(tmp_path / "a.yaml", b"one")
    signs, _, content = reader.read("a.yaml").fingerprint.partition(" ")

    path.write_bytes(b"two")
    changed = reader.read("a.yaml").fingerprint.partition(" ")[0]

    # As if the clock had not moved: the same signs, another content.
    assert reader.read("a.yaml", f"{changed} {content}").contents[0].data == b"two"
    assert signs


def test_a_file_that_vanishes_while_it_is_read_is_an_error_not_a_crash(tmp_path):
    reader = FileReader(tmp_path)
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            write(tmp_path / "a.yaml")
            (tmp_path / "a.yaml").unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(300):
            try:
                reader.read("*.yaml")
            except (NotFoundError, UnreadableError):
                continue
    finally:
        stop.set()
        thread.join()


def test_only_targets_with_a_dot_are_relative_to_their_file(reader):
    base = "/srv/catalog/all.yaml"

    assert reader.resolve("./org/a.yaml", base) == "/srv/catalog/org/a.yaml"
    assert reader.resolve("../x.yaml", base) == "/srv/x.yaml"
    assert reader.resolve("org/a.yaml", base) == "org/a.yaml"
    assert reader.resolve("/abs.yaml", base) == "/abs.yaml"


def test_a_target_that_is_a_directory_is_refused_as_backstage_does(reader):
    with pytest.raises(InputError) as error:
        reader.resolve("./org/", "/srv/all.yaml")

    assert str(error.value) == (
        "LocationEntityProcessor cannot handle file type location with target /srv/all.yaml "
        "that ends with a path separator"
    )


def test_no_placeholder_reads_from_this_machine(reader):
    assert not reader.same_repository("/etc/passwd", "/srv/all.yaml")
