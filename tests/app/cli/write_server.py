"""Previews and pushes on a real port, for the commands that ask for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from werkzeug.serving import make_server

from app.db.engine import open_database
from tests.app.graph.write_api import WriteApi


@contextmanager
def write_server(database_url: str, folder: Path) -> Iterator[tuple[WriteApi, str]]:
    """Serve; answer what is behind it, and its URL."""
    database = open_database(database_url)
    api = WriteApi(database, folder)
    server = make_server("127.0.0.1", 0, api.app)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield api, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        api.close()
        database.close()
