"""The two ways an answer can be missing.

What we know is a value or `Refused`; what we do not know is `Unavailable`, and
only that is worth trying again. Neither ever carries a body, a URL or a token.
"""


class Refused(Exception):
    """The other side understood, and said no.

    Args:
        who: the service that answered, such as ``"openai"``.
        what: the operation in our words, such as ``"openai.delete_key"``.
        status: its HTTP (or SMTP) status code.
        code: its own error code where it gave one, else an empty string.
    """

    def __init__(self, who: str, what: str, status: int, code: str = "") -> None:
        super().__init__(who, what, status, code)
        self.who = who
        self.what = what
        self.status = status
        self.code = code

    def __str__(self) -> str:
        return f"{self.who} refused {self.what}: {self.status} {self.code}".rstrip()


class Unavailable(Exception):
    """Nothing can be concluded: no answer, a broken one, or "not now".

    Args:
        who: the service that was asked.
        what: the operation in our words.
        why: one word or two, such as ``"timeout"`` or ``"status 503"``.
        retry_after_seconds: how long it asked us to wait, if it did.
    """

    def __init__(self, who: str, what: str, why: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(who, what, why, retry_after_seconds)
        self.who = who
        self.what = what
        self.why = why
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return f"{self.who} is unavailable for {self.what}: {self.why}"


class Malformed(ValueError):
    """Input that does not have the shape it must have; the reason never repeats the input.

    Args:
        reason: one sentence, fit to be shown to whoever sent it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
