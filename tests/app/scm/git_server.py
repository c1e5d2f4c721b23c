"""Real git repositories, and servers that serve them on real ports."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

GIT = shutil.which("git") or ""
Files = dict[str, bytes | tuple[int, bytes]]


@dataclass
class Origin:
    """A bare repository that a test commits to."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> Origin:
        path.mkdir(parents=True)
        Repo.init_bare(str(path), default_branch=b"main").close()
        return cls(path)

    def commit(self, files: Files, *, branch: str = "main", onto: bool = True) -> str:
        """Commit exactly these files; (mode, content) makes links and other things."""
        ref = b"refs/heads/" + branch.encode()
        with contextlib.closing(Repo(str(self.path))) as repo:
            commit = Commit()
            commit.tree = self._tree(repo, files)
            known = repo.refs.as_dict().get(ref)
            commit.parents = [known] if onto and known else []
            commit.author = commit.committer = b"A Tester <a@example.org>"
            commit.author_time = commit.commit_time = 1_700_000_000
            commit.author_timezone = commit.commit_timezone = 0
            commit.message = b"A change"
            repo.object_store.add_object(commit)
            repo.refs[ref] = commit.id
            return commit.id.decode()

    def _tree(self, repo: Repo, files: Files) -> ObjectID:
        tree, below = Tree(), dict[str, Files]()
        for path, content in files.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = content
                continue
            mode, data = content if isinstance(content, tuple) else (0o100644, content)
            if mode == 0o160000:
                tree.add(name.encode("utf-8", "surrogateescape"), mode, ObjectID(data))
                continue
            blob = Blob.from_string(data)
            repo.object_store.add_object(blob)
            tree.add(name.encode("utf-8", "surrogateescape"), mode, blob.id)
        for name, inner in below.items():
            tree.add(name.encode(), 0o040000, self._tree(repo, inner))
        repo.object_store.add_object(tree)
        return tree.id


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what some tests are about."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def _serve(app) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def plain_git_server(origin: Origin) -> Iterator[str]:
    """A server that knows neither version 2 nor filters; answers the URL of the repository."""
    with contextlib.closing(Repo(str(origin.path))) as repo:
        chain = make_wsgi_chain(DictBackend({"/team/shop.git": repo}))
        with _serve(chain) as url:
            yield f"{url}/team/shop.git"


@contextlib.contextmanager
def full_git_server(origin: Origin, token: str = "") -> Iterator[str]:
    """git's own server program, which can leave contents out; wants `token` as password."""
    with contextlib.closing(Repo(str(origin.path))) as repo:
        config = repo.get_config()
        config.set((b"uploadpack",), b"allowFilter", b"true")
        config.write_to_path()

    def app(environ, start_response):
        sent = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Basic ")
        if token and base64.b64decode(sent).decode().partition(":")[2] != token:
            start_response("401 Unauthorized", [("www-authenticate", "Basic")])
            return [b"no"]
        size = int(environ.get("CONTENT_LENGTH") or 0)
        env = {
            "GIT_PROJECT_ROOT": str(origin.path.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": environ["PATH_INFO"].replace("/team/shop.git", f"/{origin.path.name}"),
            "QUERY_STRING": environ.get("QUERY_STRING", ""),
            "REQUEST_METHOD": environ["REQUEST_METHOD"],
            "CONTENT_TYPE": environ.get("CONTENT_TYPE", ""),
            "CONTENT_LENGTH": str(size),
            "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""),
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(
            [GIT, "http-backend"],
            input=environ["wsgi.input"].read(size),
            env=env,
            capture_output=True,
            check=True,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = next((v for k, v in headers if k == "Status"), "200 OK")
        start_response(status, [(k, v) for k, v in headers if k != "Status"])
        return [body]

    with _serve(app) as url:
        yield f"{url}/team/shop.git"
