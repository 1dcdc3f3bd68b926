"""What the box refuses. Each class is one kind of refusal; each instance has a stable `code` and a sentence that says what to do next.

`routes.problems` is the one place that maps these to HTTP.
"""


class Refusal(Exception):
    """Base of every refusal. `code` is stable and documented; `detail` is a sentence for a person, without personal data or secrets."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Malformed(Refusal):
    """The message cannot be read as what it should be."""


class Unprocessable(Refusal):
    """The message reads well but its values cannot be accepted."""


class Unauthenticated(Refusal):
    """No key, or not one of ours."""


class Forbidden(Refusal):
    """A known key or origin that may not do this."""


class NotFound(Refusal):
    """Nothing here under that id."""


class Conflict(Refusal):
    """The box already holds something else under that id."""


class TooLarge(Refusal):
    """More than one call may carry."""


class TooMany(Refusal):
    """A limit is used up. `retry_after` is in seconds."""

    def __init__(self, code: str, detail: str, retry_after: int, limit: int) -> None:
        super().__init__(code, detail)
        self.retry_after = retry_after
        self.limit = limit


class Unavailable(Refusal):
    """The box cannot accept now; the same call may go through later."""
