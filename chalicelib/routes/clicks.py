"""A publisher's link: store the click, send the shopper on."""

from chalice.app import Request, Response

from chalicelib.routes.http import Routes, query_of
from chalicelib.routes.problems import Headers

clicks = Routes(__name__)


@clicks.route("/click/{publisher_id}", methods=["GET"])
def click(request: Request, publisher_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.domain.click import cookie_of
    from chalicelib.services import track

    query = query_of(request)
    target, stored = track.click(box(), publisher_id, query.get("url"), query.get("subId"))
    headers: Headers = {
        "Location": target,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer-when-downgrade",
    }
    host, objects = str(request.headers.get("host", "")), request.headers.get("sec-gpc") == "1"
    if stored is not None and (cookie := cookie_of(stored, box().config, host, objects=objects)):
        headers["Set-Cookie"] = cookie
    return Response("", status_code=302, headers=headers)
