"""Changes reach webhooks and streams of a running platform, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.app.graph.serving import Reader
from tests.app.graph.webhooks.receiver import SECRET, Receiver, receiver
from tests.e2e.running import ACCESS, RULES, Platform, component, seconds_until, serving

FILES = 6
NO_LAG = 'callboard_webhook_lag_changes{webhook="ci"} 0.0'
KILLS = int(os.environ.get("KILLS", "3"))


@pytest.fixture
def there():
    with receiver() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path, there: Receiver) -> Path:
    (tmp_path / "catalog").mkdir()
    for number in range(FILES):
        (tmp_path / "catalog" / f"{number}.yaml").write_text(component(f"c{number}", "first"))
    (tmp_path / "app-config.yaml").write_text(
        f"{ACCESS}"
        f"catalog:\n  {RULES}\n  locations: [{{type: file, target: './catalog/*.yaml'}}]\n"
        "callboard:\n  webhooks:\n"
        f"    ci: {{url: '{there.url}?key=hunter22', secret: {{$env: HOOK_SECRET}},"
        " filter: kind=component, batch: 5, timeout: 2s}\n"
    )
    return tmp_path


def feed(platform: Platform, since: int, **query: object) -> list[dict]:
    found, newest = [], None
    while newest is None or since < newest:
        answer = platform.ask("/api/graph/changes", since=since, **query)
        assert answer.status == 200, answer
        found += answer.json["items"]
        since, newest = answer.json["next"], answer.json["newest"]
    return found


def write(folder: Path, platform: Platform, number: int, turn: int) -> None:
    (folder / "catalog" / f"{number}.yaml").write_text(component(f"c{number}", f"turn {turn}"))
    platform.refresh(f"component:default/c{number}")


def test_what_happens_arrives_at_least_once_and_in_order(folder, there, monkeypatch):
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with serving(folder) as platform:
        seconds_until(lambda: len(platform.refs(filter="kind=component")) == FILES)
        seconds_until(lambda: webhook(platform)["lag"] == 0)
        start = webhook(platform)["position"]
        port = int(platform.url.rpartition(":")[2])
        headers = {"Authorization": f"Bearer {platform.token}"}
        path = f"/api/graph/changes/stream?since={start}&filter=kind=component&include=ref"
        with Reader(port, path, headers) as stream:
            for turn in range(KILLS):
                there.always = (204, {}, 0.1)
                before = len(there.received)
                for number in range(FILES):
                    write(folder, platform, number, turn)
                # While a delivery is under way, or just after it.
                seconds_until(lambda: len(there.received) > before)
                time.sleep(0.07 * turn)
                os.kill(platform.children()["worker"], signal.SIGKILL)
                seconds_until(lambda: "worker" in platform.children())
            last = f"turn {KILLS - 1}"
            refs = [f"component:default/c{number}" for number in range(FILES)]
            seconds_until(lambda: all(platform.description(ref) == last for ref in refs))
            seconds_until(lambda: webhook(platform)["lag"] == 0)
            expected = [item["seq"] for item in feed(platform, start, filter="kind=component")]
            streamed = [change["seq"] for change in stream.changes(len(expected))]
        seconds_until(lambda: NO_LAG in platform.ask("/metrics").body.decode())
        figures = platform.ask("/metrics").body.decode()
        said = platform.said()

    taken = [one for one in there.taken() if one.seqs[0] > start]
    firsts = list(dict.fromkeys(one.delivery for one in taken))
    once = {one.delivery: one.seqs for one in taken}
    assert [seq for delivery in firsts for seq in once[delivery]] == expected
    assert streamed == expected
    assert 'callboard_webhook_deliveries_total{outcome="delivered",webhook="ci"}' in figures
    assert SECRET not in said
    assert "hunter22" not in said


def webhook(platform: Platform) -> dict:
    (found,) = platform.ask("/api/graph/webhooks").json["items"]
    return found if found["position"] is not None else found | {"lag": -1}
