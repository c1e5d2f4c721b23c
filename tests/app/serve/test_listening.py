"""Where a server listens, and what it says when it cannot."""

import socket
from contextlib import suppress

import pytest

from app.errors import ConfigError
from app.serve.listening import close_all, listen, listen_shares


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


def test_processes_share_a_port_with_a_socket_each(opened):
    shares = listen_shares("127.0.0.1", 0, 3)
    opened += [sock for share in shares for sock in share.sockets]

    assert len({sock.fileno() for sock in opened}) == 3
    assert len({sock.getsockname() for sock in opened}) == 1
    for share in shares:
        assert set(share.spares) == set(opened) - set(share.sockets)


def test_connections_are_spread_over_the_shares(opened):
    shares = listen_shares("127.0.0.1", 0, 2)
    opened += [sock for share in shares for sock in share.sockets]
    clients = [socket.create_connection(opened[0].getsockname()) for _ in range(60)]
    counts = []
    for sock in tuple(opened):
        sock.settimeout(0.05)
        accepted = []
        with suppress(TimeoutError):
            while True:
                accepted.append(sock.accept()[0])
        counts.append(len(accepted))
        close_all(accepted)
    close_all(clients)

    assert sum(counts) == 60
    assert min(counts) > 10


def test_a_second_server_cannot_share_the_port_by_mistake(opened):
    shares = listen_shares("127.0.0.1", 0, 2)
    opened += [sock for share in shares for sock in share.sockets]

    with pytest.raises(ConfigError, match="Address already in use"):
        listen_shares("127.0.0.1", opened[0].getsockname()[1], 2)


def test_processes_share_the_one_unix_socket_there_is(opened, tmp_path):
    shares = listen_shares(f"unix:{tmp_path}/callboard.sock", 0, 2)
    opened += shares[0].sockets

    assert shares[0] == shares[1]
