"""What the box refuses. Each class is one kind of refusal; each instance has a stable `code` and a sentence that says what to do next.

Each class names the HTTP status it is answered with, for a row of a batch has one too; `routes.problems` makes the answers.
"""


class Refusal(Exception):
    """Base of every refusal. `code` is stable and documented; `detail` is a sentence for a person, without personal data or secrets."""

    status = 500

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Malformed(Refusal):
    """The message cannot be read as what it should be."""

    status = 400


class Unprocessable(Refusal):
    """The message reads well but its values cannot be accepted."""

    status = 422


class Unauthenticated(Refusal):
    """No key, or not one of ours."""

    status = 401


class Forbidden(Refusal):
    """A known key or origin that may not do this."""

    status = 403


class NotFound(Refusal):
    """Nothing here under that id."""

    status = 404


class Conflict(Refusal):
    """The box already holds something else under that id."""

    status = 409


class TooLarge(Refusal):
    """More than one call may carry."""

    status = 413


class TooMany(Refusal):
    """A limit is used up. `retry_after` is in seconds."""

    status = 429

    def __init__(self, code: str, detail: str, retry_after: int, limit: int) -> None:
        super().__init__(code, detail)
        self.retry_after = retry_after
        self.limit = limit


class Unavailable(Refusal):
    """The box cannot accept now; the same call may go through later."""

    status = 503
