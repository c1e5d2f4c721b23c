"""nginx in front of several replicas, configured as the operations page says.

`python -m tests.e2e.nginx FOLDER PORT REPLICA_PORT…` prints such a configuration.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.processes import ROOT, until

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
PAGE = ROOT / "docs" / "operations.md"
BLOCK = re.compile(r"^```nginx\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# In the folder and in the foreground, so that it needs no rights and ends by its process id.
FRAME = """\
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    log_format replicas '$upstream_addr $status $request_method $request_uri';
    access_log {folder}/access.log replicas;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{block}
}}
"""


def configuration(folder: Path, port: int, replicas: Sequence[int]) -> str:
    """Answer the documented configuration, with addresses of this machine."""
    found = BLOCK.search(PAGE.read_text())
    assert found, f"{PAGE} shows no configuration for nginx"
    block, servers = re.subn(
        r"(?:^    server [0-9.]+:\d+(.*);\n)+",
        lambda match: "".join(f"    server 127.0.0.1:{at}{match[1]};\n" for at in replicas),
        found[1],
        flags=re.MULTILINE,
    )
    block, listens = re.subn(r"listen 80;", f"listen 127.0.0.1:{port};", block)
    assert (servers, listens) == (1, 1)
    # As root it would work as somebody who may not enter the folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    return FRAME.format(user=user, folder=folder, block=block)


@contextmanager
def nginx(folder: Path, port: int, replicas: Sequence[int]) -> Iterator[subprocess.Popen[bytes]]:
    """Run nginx in front of replicas on this machine, until the end of the block."""
    assert NGINX, "nginx is not installed"
    config = folder / "nginx.conf"
    config.write_text(configuration(folder, port, replicas))
    with (folder / "nginx.log").open("ab") as log:
        process = subprocess.Popen([NGINX, "-p", folder, "-c", config], stdout=log, stderr=log)
    try:
        until(lambda: (folder / "nginx.pid").exists() or process.poll() is not None, "nginx runs")
        assert process.poll() is None, (folder / "nginx.log").read_text()
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def shares(folder: Path) -> dict[str, int]:
    """Answer how many requests each replica was sent."""
    counts = dict[str, int]()
    for line in (folder / "access.log").read_text().splitlines():
        # Of a request that was sent to several replicas, all are named.
        for address in line.partition(" ")[0].rstrip(",").split(", "):
            counts[address] = counts.get(address, 0) + 1
    return counts


if __name__ == "__main__":
    sys.stdout.write(
        configuration(Path(sys.argv[1]), int(sys.argv[2]), [int(port) for port in sys.argv[3:]])
    )
