"""The supervisor, run as a process of its own with real children."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.serve.child import MISCONFIGURED
from app.serve.supervisor import Patience

ROOT = Path(__file__).resolve().parents[3]
HEAD = """
import logging, sys
sys.path.insert(0, {root!r})
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
from app.serve.listening import listen, listen_shares
from app.serve.process import ChildSpec
from app.serve.supervisor import Patience, Supervisor
from tests.app.serve import site

def run(*specs, **patience):
    supervisor = Supervisor(
        specs, Patience(**patience),
        on_ready=lambda: print("all ready", flush=True),
        on_end=lambda name, pid: print("ended", name, pid, flush=True),
    )
    sys.exit(supervisor.run())

"""


class Supervised:
    """A supervisor, what it printed so far, and its children."""

    def __init__(self, code):
        # A session of its own: the test's terminal sends nothing, and nothing is left behind.
        self.process = subprocess.Popen(
            [sys.executable, "-c", HEAD.format(root=str(ROOT)) + code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait_for(self, pattern, count=1, seconds=15):
        end = time.monotonic() + seconds
        while len(re.findall(pattern, self.text)) < count:
            assert time.monotonic() < end, f"no {pattern!r} in:\n{self.text}"
            time.sleep(0.01)

    def pids(self, name):
        return [int(pid) for pid in re.findall(rf"started {name} \(pid (\d+)\)", self.text)]

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=15):
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def close(self):
        family = [self.process.pid, *map(int, re.findall(r"\(pid (\d+)\)", self.text))]
        for pid in family:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(5)
        self._reader.join(5)
        self.process.stdout.close()


def is_alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # a zombie only waits to be noticed


@pytest.fixture
def supervise():
    running = []

    def start(code):
        running.append(Supervised(code))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def ask(port, path="/hello/x"):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.request("GET", path)
        return client.getresponse().read()
    finally:
        client.close()


TWO_WEBS_AND_A_WORKER = """
run(
    *(
        ChildSpec(f"web-{{number}}", site.web, sockets=share.sockets, spares=share.spares)
        for number, share in enumerate(listen_shares("127.0.0.1", {port}, 2), 1)
    ),
    ChildSpec("worker", site.background, overlaps=False),
)
"""


def test_all_processes_serve_one_port_and_stop_together(supervise, port):
    supervised = supervise(TWO_WEBS_AND_A_WORKER.format(port=port))
    supervised.wait_for("all ready")
    pids = [supervised.pids(name)[0] for name in ("web-1", "web-2", "worker")]
    assert b"hello" in ask(port)

    supervised.signal(signal.SIGTERM)

    assert supervised.wait() == 0
    assert "worker stopped" in supervised.text
    assert not any(map(is_alive, pids))
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_a_process_may_be_stopped_while_it_starts(supervise, port):
    supervised = supervise(TWO_WEBS_AND_A_WORKER.format(port=port))
    supervised.wait_for("started worker")

    supervised.signal(signal.SIGTERM)

    assert supervised.wait() == 0


@pytest.mark.parametrize("victim", ["web-1", "worker"])
def test_a_killed_process_is_replaced_and_the_port_stays(supervise, port, victim):
    supervised = supervise(TWO_WEBS_AND_A_WORKER.format(port=port))
    supervised.wait_for("all ready")
    (first,) = supervised.pids(victim)

    os.kill(first, signal.SIGKILL)
    for _ in range(20):
        assert b"hello" in ask(port)

    supervised.wait_for(rf"started {victim}", count=2)
    assert f"{victim} (pid {first}) ended: SIGKILL" in supervised.text
    assert f"ended {victim} {first}" in supervised.text
    supervised.signal(signal.SIGINT)
    assert supervised.wait() == 0


def test_no_connection_is_lost_when_the_only_web_process_dies(supervise, port):
    code = f'run(ChildSpec("web", site.web, sockets=tuple(listen("127.0.0.1", {port}))))'
    supervised = supervise(code)
    supervised.wait_for("all ready")

    os.kill(supervised.pids("web")[0], signal.SIGKILL)

    assert b"hello" in ask(port)  # it waited in the queue of the port for the next process


def test_a_process_that_hangs_is_stood_in_for(supervise, port):
    supervised = supervise(TWO_WEBS_AND_A_WORKER.format(port=port))
    supervised.wait_for("all ready")
    (hanging,) = supervised.pids("web-1")
    os.kill(hanging, signal.SIGSTOP)

    began = time.monotonic()
    for _ in range(12):
        assert b"hello" in ask(port)

    assert time.monotonic() - began < 5
    os.kill(hanging, signal.SIGCONT)
    supervised.signal(signal.SIGTERM)
    assert supervised.wait() == 0


def test_children_end_when_the_supervisor_is_killed(supervise, port):
    supervised = supervise(TWO_WEBS_AND_A_WORKER.format(port=port))
    supervised.wait_for("all ready")
    pids = [supervised.pids(name)[0] for name in ("web-1", "web-2", "worker")]

    supervised.signal(signal.SIGKILL)

    end = time.monotonic() + 5
    while any(map(is_alive, pids)):
        assert time.monotonic() < end
        time.sleep(0.02)
    supervised.wait()
    assert supervised.text.count("the supervisor is gone") == 3


def test_a_process_that_does_not_stop_is_killed(supervise):
    supervised = supervise('run(ChildSpec("stubborn", site.stubborn), stop=0.3)')
    supervised.wait_for("all ready")

    supervised.signal(signal.SIGTERM)

    assert supervised.wait(5) == 1
    assert "did not stop, killing it" in supervised.text


def test_asking_twice_is_not_waiting(supervise):
    supervised = supervise('run(ChildSpec("stubborn", site.stubborn), stop=60, same=0.2)')
    supervised.wait_for("all ready")
    supervised.signal(signal.SIGTERM)
    supervised.wait_for("stopping:")
    supervised.signal(signal.SIGTERM)
    time.sleep(0.4)
    assert supervised.process.poll() is None  # it may have been one request, heard twice

    supervised.signal(signal.SIGTERM)

    supervised.wait(5)


def test_a_process_that_hangs_ends_itself_and_is_replaced(supervise, tmp_path):
    once = str(tmp_path / "once")
    supervised = supervise(f'run(ChildSpec("worker", site.hanging, ({once!r},)))')

    supervised.wait_for("started worker", 2)
    supervised.signal(signal.SIGTERM)

    assert supervised.wait() == 0
    assert "worker hangs and is ended" in supervised.text


def test_a_process_that_keeps_failing_is_started_ever_more_slowly(supervise):
    code = 'run(ChildSpec("crashing", site.crashing), first_delay=0.1)'
    supervised = supervise(code)
    supervised.wait_for("crashing began", count=4)

    supervised.signal(signal.SIGTERM)

    assert supervised.wait() == 0
    assert "starting crashing again in 0.1 s" in supervised.text
    assert "starting crashing again in 0.2 s" in supervised.text
    assert "it cannot work" in supervised.text


def test_a_process_that_leaves_unasked_is_started_again(supervise):
    supervised = supervise('run(ChildSpec("leaving", site.leaving), first_delay=0.05)')

    supervised.wait_for("leaving began", count=2)
    assert "exit code 0" in supervised.text


def test_a_mistake_in_the_configuration_stops_everything(supervise):
    code = 'run(ChildSpec("worker", site.background), ChildSpec("web", site.misconfigured))'
    supervised = supervise(code)

    assert supervised.wait() == MISCONFIGURED
    assert "web cannot start: app.baseUrl: required (app-config.yaml:3)" in supervised.text


def test_a_hangup_replaces_all_processes_without_losing_a_request(supervise, port):
    supervised = supervise(TWO_WEBS_AND_A_WORKER.format(port=port))
    supervised.wait_for("all ready")
    lost, asked, done = [], [], threading.Event()

    def keep_asking():
        while not done.is_set():
            asked.append(1)
            if b"hello" not in ask(port):
                lost.append(1)

    thread = threading.Thread(target=keep_asking)
    thread.start()
    supervised.signal(signal.SIGHUP)
    supervised.wait_for(r"worker \(pid \d+\) ended")
    supervised.wait_for(r"started worker", count=2)
    done.set()
    thread.join()

    assert len(asked) > 10
    assert lost == []
    for name in ("web-1", "web-2", "worker"):
        first, second = supervised.pids(name)
        assert not is_alive(first)
        assert is_alive(second)
    supervised.signal(signal.SIGTERM)
    assert supervised.wait() == 0


def test_what_cannot_become_ready_replaces_nothing(supervise, tmp_path):
    flag = tmp_path / "broken"
    code = f'run(ChildSpec("web", site.fragile, ({str(flag)!r},)))'
    supervised = supervise(code)
    supervised.wait_for("all ready")
    flag.write_text("")

    supervised.signal(signal.SIGHUP)

    supervised.wait_for("keeping the processes that run")
    assert is_alive(supervised.pids("web")[0])
    supervised.signal(signal.SIGTERM)
    assert supervised.wait() == 0


def test_the_environment_of_a_child_may_be_added_to(supervise):
    code = 'run(ChildSpec("asking", site.asking, environment={"FIGURES": "/tmp/figures"}))'
    supervised = supervise(code)

    supervised.wait_for("FIGURES is /tmp/figures")


@pytest.mark.parametrize(
    ("failures", "delay"), [(0, 0), (1, 0), (2, 0.5), (3, 1), (4, 2), (8, 30), (10_000, 30)]
)
def test_delays_grow_to_a_limit(failures, delay):
    assert Patience().delay(failures) == delay
