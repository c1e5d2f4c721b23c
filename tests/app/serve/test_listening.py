"""Where a server listens, and what it says when it cannot."""

import socket

import pytest

from app.errors import ConfigError
from app.serve.listening import close_all, listen


@pytest.fixture
def opened():
    sockets = []
    yield sockets
    close_all(sockets)


def test_any_free_port_is_the_same_for_all_addresses_of_a_name(opened):
    opened += listen("localhost", 0)

    assert len({sock.getsockname()[1] for sock in opened}) == 1


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104
        ("", "127.0.0.1"),
        ("::", "127.0.0.1"),
        ("::", "::1"),
        ("::1", "::1"),
    ],
)
def test_a_server_is_reached_where_it_listens(opened, host, address):
    if ":" in host + address and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    opened += listen(host, 0)

    with socket.create_connection((address, opened[0].getsockname()[1]), timeout=2):
        pass


def test_a_port_in_use_is_named(opened):
    opened += listen("127.0.0.1", 0)
    port = opened[0].getsockname()[1]

    with pytest.raises(ConfigError, match=f"Cannot listen on 127.0.0.1:{port}: Address already"):
        listen("127.0.0.1", port)


def test_a_host_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match=r"Cannot listen on 256\.1\.1\.1:80"):
        listen("256.1.1.1", 80)


def test_a_unix_socket_replaces_one_that_nobody_listens_on(opened, tmp_path):
    path = tmp_path / "callboard.sock"
    close_all(listen(f"unix:{path}", 0))
    assert path.exists()

    opened += listen(f"unix:{path}", 0)

    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_unix_socket_in_use_is_left_alone(opened, tmp_path):
    path = tmp_path / "callboard.sock"
    opened += listen(f"unix:{path}", 0)

    with pytest.raises(ConfigError, match="Address already in use"):
        listen(f"unix:{path}", 0)


def test_a_file_is_not_replaced_by_a_unix_socket(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")

    with pytest.raises(ConfigError, match="Cannot listen on"):
        listen(f"unix:{path}", 0)

    assert path.read_text() == "precious"
