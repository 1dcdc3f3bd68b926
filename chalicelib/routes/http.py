"""What every route shares: a blueprint whose views get the request, may raise refusals, and answer JSON."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from chalice.app import Blueprint, Request, Response

from chalicelib.domain.errors import Forbidden, Malformed, NotFound, Refusal, TooLarge
from chalicelib.routes import problems

if TYPE_CHECKING:
    from chalicelib.services.access import Caller

View = Callable[..., Response]
RATE_LIMIT = "rateLimit"
"""Where a request's context keeps what is left of its limit, for the answer's headers."""
MAX_BODY_BYTES = 64 * 1024
"""Of a single report; batches have their own limit."""
MAX_ID = 1024
"""Bytes of an id in a path, more than any has: the table refuses longer keys."""


class Routes(Blueprint):
    """A Chalice blueprint. `cors="any"` is for what anyone may read; `"origins"` echoes an origin of the config, with credentials,
    for sendBeacon sends them and browsers then refuse `*`. `limited=False` is for what caches hold and no table is read for."""

    def route(
        self, path: str, cors: Literal["any", "origins"] | None = None, limited: bool = True, **options: Any
    ) -> Callable[[View], View]:
        register = super().route(path, **options)

        def decorate(view: View) -> View:
            @functools.wraps(view)
            def answering(**path_parameters: str) -> Response:
                request: Request = self.current_request
                response = _answered(view, request, path_parameters, limited)
                response.headers.update(_cors_headers(cors, request))
                for name, value in request.context.get(RATE_LIMIT, {}).items():
                    response.headers.setdefault(name, value)
                return response

            register(answering)
            # The view as it was written, so that a second path can be given to it.
            return view

        return decorate


def _answered(view: View, request: Request, path_parameters: dict[str, str], limited: bool) -> Response:
    try:
        if limited:
            count_address(request)
        if any(len(value.encode()) > MAX_ID for value in path_parameters.values()):
            raise NotFound("not_found", "Nothing has an id as long as this.")
        return view(request, **path_parameters)
    except Refusal as refusal:
        return problems.refused(refusal)
    except Exception as error:  # noqa: BLE001 - the last guard: an answer must leave, and its text must not
        return problems.broken(error)


def count_address(request: Request) -> None:
    """The address that API Gateway saw, never what a header claims. Raises TooMany."""
    from chalicelib.bootstrap import box
    from chalicelib.services import limits

    address = (request.context.get("identity") or {}).get("sourceIp")
    if address and (left := limits.take_by_address(box(), address)):
        request.context[RATE_LIMIT] = left.headers()


def _cors_headers(cors: str | None, request: Request) -> dict[str, str]:
    if cors == "any":
        return {"Access-Control-Allow-Origin": "*"}
    if cors == "origins" and (origin := allowed_origin(request)):
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Headers": "content-type",
            "Access-Control-Max-Age": "86400",
            "Vary": "Origin",
        }
    return {"Vary": "Origin"} if cors == "origins" else {}


def allowed_origin(request: Request) -> str | None:
    """The request's Origin if the config lists it."""
    from chalicelib.bootstrap import box

    origin = request.headers.get("origin")
    return origin if origin in box().config.site.origins else None


def check_origin(request: Request) -> None:
    """A browser names the page's origin; one that is not the merchant's is refused. Without the header there is nothing to check."""
    if request.headers.get("origin") and allowed_origin(request) is None:
        raise Forbidden("origin_not_allowed", "This page's origin is not in the merchant's config (site.origins).")


def body_of(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    raw = request.raw_body
    if isinstance(raw, str):
        raw = raw.encode()
    if len(raw) > limit:
        raise TooLarge("body_too_large", f"The body may have {limit} bytes.")
    if not raw:
        raise Malformed("body_missing", "The body is empty; the fields of a JSON object are at /docs.")
    return raw


def query_of(request: Request) -> dict[str, str]:
    return dict(request.query_params or {})


def answer(body: Any, status: int = 200, headers: problems.Headers | None = None) -> Response:
    import msgspec

    return Response(
        msgspec.json.encode(body).decode(),
        status_code=status,
        headers={"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})},
    )


def caller_of(request: Request, *allowed: str) -> "Caller":
    """Who calls, if a key of one of these scopes (or admin) came with the request. Raises Unauthenticated or Forbidden."""
    from chalicelib.bootstrap import box
    from chalicelib.services import access

    caller = access.caller(box(), request.headers.get("authorization"), *allowed)
    if caller.left is not None:
        request.context[RATE_LIMIT] = caller.left.headers()
    return caller
