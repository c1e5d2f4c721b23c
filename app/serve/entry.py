"""The script that a supervised process runs; it imports nothing of ours before it knows where from.

The supervisor writes two pickles to its standard input: the import path, then what to run. It is
started with Python's `-P`, so that a folder named `app` where the operator happens to stand does
not take the place of ours.
"""

import pickle
import sys

if __name__ == "__main__":
    sys.path[:] = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    from app.serve.child import main

    main(sys.stdin.buffer)
