"""For what may have to wait, in code that may run on the event loop."""

from __future__ import annotations

import asyncio


class HoldsUpError(BaseException):
    """A call has to wait and would hold up the event loop: it is begun anew in a thread.

    Not an `Exception`, so that no handler of a view's errors takes it for one.
    """


def before_waiting() -> None:
    """Say that waiting comes next; raises `HoldsUpError` on the event loop.

    Only for what happens before anything was changed: all of the request is called once more.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise HoldsUpError
