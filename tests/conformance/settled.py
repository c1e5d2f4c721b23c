"""Wait until a server answers and the number of its entities has stopped to grow."""

import json
import sys
import time
import urllib.request


def count(base: str, token: str) -> int:
    request = urllib.request.Request(
        f"{base}/api/catalog/entities/by-query?limit=0",
        headers={"authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)["totalItems"]


if __name__ == "__main__":
    base, token = sys.argv[1:]
    before, quiet, deadline = -1, 0, time.monotonic() + 90
    while quiet < 4:
        if time.monotonic() > deadline:
            sys.exit(f"{base} did not settle within 90 s")
        time.sleep(0.5)
        try:
            now = count(base, token)
        except OSError:
            continue
        quiet = quiet + 1 if now == before and now else 0
        before = now
