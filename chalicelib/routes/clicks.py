"""A publisher's link: store the click, send the shopper on."""

from chalice.app import Request, Response

from chalicelib.routes.http import Routes, query_of

clicks = Routes(__name__)


@clicks.route("/click/{publisher_id}", methods=["GET"])
def click(request: Request, publisher_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import track

    query = query_of(request)
    target = track.click(box(), publisher_id, query.get("url"), query.get("subId"))
    return Response(
        "",
        status_code=302,
        headers={"Location": target, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer-when-downgrade"},
    )
