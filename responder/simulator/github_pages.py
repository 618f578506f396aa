"""GitHub's errors and pages.

https://docs.github.com/rest/using-the-rest-api/using-pagination-in-the-rest-api
"""

from werkzeug.wrappers import Request, Response

from responder.simulator.github_shapes import Json
from responder.simulator.server import reply

_DOCS = "https://docs.github.com/rest"


def problem(status: int, message: str, errors: list[Json] | None = None) -> Response:
    """An answer in GitHub's envelope."""
    body: Json = {"message": message, "documentation_url": _DOCS, "status": str(status)}
    return reply({**body, "errors": errors} if errors else body, status)


def paged(request: Request, origin: str, items: list[Json], default: int = 30, most: int = 100) -> Response:
    """One page of a list by ``page`` and ``per_page``, with its Link header."""
    page, size = numbers(request, default, most)
    response = reply(items[(page - 1) * size : page * size])
    link(response, request, origin, page, -(-len(items) // size))
    return response


def numbers(request: Request, default: int, most: int) -> tuple[int, int]:
    """``page`` and ``per_page``, corrected to what is allowed."""
    page = request.args.get("page", 1, type=int)
    size = request.args.get("per_page", default, type=int)
    return max(1, page), min(most, size) if size >= 1 else default


def link(response: Response, request: Request, origin: str, page: int, pages: int) -> None:
    """Add the Link header of RFC 8288 as GitHub does."""
    wanted = {"prev": page - 1, "next": page + 1, "last": pages, "first": 1}
    if page >= pages:
        del wanted["next"], wanted["last"]
    if page <= 1:
        del wanted["prev"], wanted["first"]
    others = "".join(f"{k}={v}&" for k, v in request.args.items(multi=True) if k != "page")
    if wanted:
        response.headers["Link"] = ", ".join(
            f'<{origin}{request.path}?{others}page={n}>; rel="{rel}"' for rel, n in wanted.items()
        )
