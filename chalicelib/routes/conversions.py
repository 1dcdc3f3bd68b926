"""The merchant's and the publishers' view of conversions, and the merchant's corrections."""

from chalice.app import Request, Response

from chalicelib.routes.http import Routes, answer, body_of, caller_of, query_of
from chalicelib.routes.problems import Headers

conversions = Routes(__name__)


@conversions.route("/v1/conversions", methods=["POST"])
def create(request: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.domain.report import ServerBody, read_body
    from chalicelib.services import present, track

    caller_of(request, "server")
    received = track.conversion(box(), read_body(body_of(request), ServerBody), "server")
    shown = present.conversions(box(), [received.conversion])[0]
    shown["duplicate"] = received.duplicate
    location: Headers = {"Location": f"{_own_path(request)}/{received.conversion.conversion_id}"}
    return answer(shown, 200 if received.duplicate else 202, location)


@conversions.route("/v1/conversions", methods=["GET"])
def listing(request: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import present, report

    caller = caller_of(request, "readonly", "server", "publisher")
    page = report.page(box(), report.read_filter(box(), query_of(request), caller.publisher_id))
    shown = present.conversions(box(), page.conversions, private=caller.publisher_id is None)
    return answer({"conversions": shown, "next": page.cursor})


@conversions.route("/v1/conversions/{conversion_id}", methods=["GET"])
def read(request: Request, conversion_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import present, report

    caller = caller_of(request, "readonly", "server", "publisher")
    held = report.one(box(), conversion_id, caller.publisher_id)
    return answer(present.conversions(box(), [held], private=caller.publisher_id is None)[0])


@conversions.route("/v1/conversions/{conversion_id}", methods=["PATCH"])
def correct(request: Request, conversion_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.domain.report import read_body
    from chalicelib.routes.bodies import CorrectionBody
    from chalicelib.services import present, validate

    caller = caller_of(request, "server")
    body = read_body(body_of(request), CorrectionBody)
    correction = validate.Correction(body.status, body.reason, body.amount, body.lines)
    changed, _ = validate.correct(box(), conversion_id, correction, caller.name)
    return answer(present.conversions(box(), [changed])[0])


def _own_path(request: Request) -> str:
    """The path as the caller sees it: under the stage's prefix, where there is one."""
    return str(request.context.get("path") or request.path).rstrip("/")
