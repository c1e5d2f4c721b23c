"""What can go wrong, in Backstage's words.

The class says what kind of failure it is, the message which one and what to do about it.
`app.web.errors` maps each class to its HTTP status (CONTRACT "Error body").
"""


class CallboardError(Exception):
    """A failure with a message that is safe to show to the person who caused it."""


class InputError(CallboardError):
    """What was asked is malformed; asking again the same way will not help."""


class AuthenticationError(CallboardError):
    """The caller did not prove who they are."""


class NotAllowedError(CallboardError):
    """The caller is known and may not do this."""


class NotFoundError(CallboardError):
    """The thing named does not exist, or the caller may not know that it does."""


class ConflictError(CallboardError):
    """The request contradicts what is already there."""


class NotImplementedByServerError(CallboardError):
    """Backstage knows this request, this server does not serve it."""


class ServiceUnavailableError(CallboardError):
    """The server is starting or stopping; trying again soon helps."""


class UpstreamError(CallboardError):
    """Another system failed us; trying later may help."""

    def __init__(self, system: str, message: str) -> None:
        """Name the `system`, so that logs and run reports can be grouped by it."""
        super().__init__(f"{system}: {message}")
        self.system = system


class ConfigError(CallboardError):
    """The configuration is wrong; the message names the key's path, the file and the line."""
