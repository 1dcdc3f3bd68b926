"""What browsers send: the tag's clicks and conversions. Answers never block a checkout; every refusal has a code that the tag passes on."""

from typing import Any

from chalice.app import Request, Response

from chalicelib.routes import problems
from chalicelib.routes.http import Routes, answer, body_of, check_origin, count_address, query_of
from chalicelib.routes.problems import Headers

beacon = Routes(__name__)

TEXT_OR_JSON = ["text/plain", "application/json"]
PIXEL = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


@beacon.route("/v1/beacon/click", methods=["POST"], content_types=TEXT_OR_JSON, cors="origins")
def beacon_click(request: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.domain.click import sub_id_of
    from chalicelib.domain.report import read_body
    from chalicelib.routes.bodies import ClickBody
    from chalicelib.services import track

    check_origin(request)
    body = read_body(body_of(request), ClickBody)
    made = track.direct_click(box(), body.via, sub_id_of(body.sub_id, body.url))
    return answer({"clickId": made.click_id}, 202)


@beacon.route("/v1/beacon/conversion", methods=["POST"], content_types=TEXT_OR_JSON, cors="origins")
def beacon_conversion(request: Request) -> Response:
    from chalicelib.domain.report import Body, read_body

    check_origin(request)
    return _received(read_body(body_of(request), Body))


@beacon.route("/v1/beacon/conversion", methods=["OPTIONS"], cors="origins")
@beacon.route("/v1/beacon/click", methods=["OPTIONS"], cors="origins")
def preflight(_: Request) -> Response:
    """The tag needs none; a page that posts JSON by its own code does."""
    return Response("", status_code=204, headers={"Access-Control-Allow-Methods": "POST"})


@beacon.route("/v1/beacon/conversion.gif", methods=["GET"], limited=False)
def beacon_image(request: Request) -> Response:
    """The form without JavaScript: whatever happens, an image. SVG text, for the gateway picks binary by the first Accept type."""
    from chalicelib.domain.errors import Refusal
    from chalicelib.domain.report import Body, read_body, read_query

    headers: Headers = {"Content-Type": "image/svg+xml", "Cache-Control": "no-store"}
    try:
        count_address(request)
        check_origin(request)
        query = query_of(request)
        # The tag's last way out, where a page may not connect: the JSON of the other beacon as one parameter.
        whole = query.get("body")
        body = read_body(whole.encode(), Body) if whole else read_query(query, _values_of(request))
        received = _received(body)
        headers["X-Conversion-Status"] = str(received.status_code)
    except Refusal as refusal:
        headers["X-Conversion-Code"] = refusal.code
    except Exception as error:  # noqa: BLE001 - whatever happens, an image
        problems.broken(error)
        headers["X-Conversion-Code"] = "internal"
    return Response(PIXEL, headers=headers)


def _values_of(request: Request) -> list[str]:
    return (
        list(request.query_params.getlist("values"))
        if request.query_params and "values" in request.query_params
        else []
    )


def _received(body: Any) -> Response:
    """Store the report and say what it came to. A duplicate's id goes only to the browser whose eventId made it."""
    from chalicelib.bootstrap import box
    from chalicelib.services import lifecycle, track

    received = track.beacon_conversion(box(), body)
    held = received.conversion
    shown: dict[str, object] = {
        "status": lifecycle.status(box(), held),
        "attributed": held.attributed,
        "duplicate": received.duplicate,
    }
    if received.new or (held.event_id and body.event_id == held.event_id):
        shown["conversionId"] = held.conversion_id
    if not held.attributed:
        shown["reason"] = held.attribution.reason
    if held.is_test:
        shown["isTest"] = True
    return answer(shown, 200 if received.duplicate else 202)
