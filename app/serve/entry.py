"""The script that a supervised process runs; it imports nothing of ours before it knows where from.

The supervisor writes two pickles to its standard input: the import path with what is added to the
environment (some libraries look at it when they are imported), then what to run. The script is
started with Python's `-P`, so that a folder named `app` where the operator happens to stand does
not take the place of ours.
"""

import os
import pickle
import sys

if __name__ == "__main__":
    sys.path[:], added = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    os.environ.update(added)  # noqa: TID251 - it is set here, not looked at
    from app.serve.child import main

    main(sys.stdin.buffer)
