"""A publisher's postbacks, and the functions that make and send their messages."""

from typing import Any

from chalice.app import DynamoDBEvent, Rate, Request, Response

from chalicelib.routes.http import MAX_ID, Routes, answer, body_of, caller_of, query_of
from chalicelib.settings import settings

postbacks = Routes(__name__)


@postbacks.route("/v1/postbacks", methods=["GET"])
def listing(request: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import postbacks as service

    found = box().postbacks.of(_publisher(request))
    return answer({"postbacks": [service.shown(held) for held in found]})


@postbacks.route("/v1/postbacks", methods=["POST"])
def create(request: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import postbacks as service

    publisher = _publisher(request)
    made = service.create(box(), publisher, _wish(request))
    return answer(service.shown(made, with_secret=True), 201)


@postbacks.route("/v1/postbacks/{postback_id}", methods=["GET"])
def read(request: Request, postback_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import postbacks as service

    return answer(service.shown(service.one(box(), _publisher(request), postback_id)))


@postbacks.route("/v1/postbacks/{postback_id}", methods=["PATCH"])
def change(request: Request, postback_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import postbacks as service

    publisher, wish = _publisher(request), _wish(request)
    changed = service.change(box(), publisher, postback_id, wish)
    return answer(service.shown(changed, with_secret=wish.rotate_secret))


@postbacks.route("/v1/postbacks/{postback_id}", methods=["DELETE"])
def remove(request: Request, postback_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import postbacks as service

    service.remove(box(), _publisher(request), postback_id)
    return Response("", status_code=204, headers={"Cache-Control": "no-store"})


@postbacks.route("/v1/postbacks/{postback_id}/test", methods=["POST"])
def test(request: Request, postback_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import postbacks as service

    tried = service.test(box(), _publisher(request), postback_id)
    return answer(service.shown_delivery(tried))


@postbacks.route("/v1/postbacks/{postback_id}/deliveries", methods=["GET"])
def deliveries(request: Request, postback_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import postbacks as service
    from chalicelib.services import report

    query = query_of(request)
    limit = report.read_limit(query)
    found, cursor = service.deliveries(box(), _publisher(request), postback_id, limit, query.get("cursor") or None)
    return answer({"deliveries": [service.shown_delivery(delivery) for delivery in found], "next": cursor})


@postbacks.route("/v1/postbacks/{postback_id}/replay", methods=["POST"])
def replay(request: Request, postback_id: str) -> Response:
    """`{"deliveryId": …}`, or `{}` for each message that was given up."""
    from chalicelib.bootstrap import box
    from chalicelib.domain.report import read_body
    from chalicelib.routes.bodies import ReplayBody
    from chalicelib.services import postbacks as service

    publisher = _publisher(request)
    body = read_body(body_of(request), ReplayBody)
    return answer({"replayed": service.replay(box(), publisher, postback_id, body.delivery_id)}, 202)


def _publisher(request: Request) -> str:
    """Whose postbacks: the key's own publisher, or for an admin's key the one that the query names."""
    from chalicelib.domain.errors import Forbidden, NotFound, Unprocessable

    caller = caller_of(request, "publisher")
    if caller.publisher_id is None and "admin" not in caller.scopes:
        raise Forbidden("scope_not_alone", "This key has other scopes beside its publisher's; use one that has not.")
    publisher = caller.publisher_id or query_of(request).get("publisherId")
    if not publisher:
        raise Unprocessable("publisher_missing", "With an admin's key name the publisher: ?publisherId=….")
    if len(publisher.encode()) > MAX_ID:
        raise NotFound("publisher_unknown", "No publisher has an id as long as this.")
    return publisher


def _wish(request: Request) -> Any:
    from chalicelib.domain.report import read_body
    from chalicelib.routes.bodies import PostbackBody
    from chalicelib.services.postbacks import Wish

    body = read_body(body_of(request), PostbackBody)
    return Wish(body.url, body.method, body.body, body.events, body.active, body.rotate_secret)


@postbacks.on_dynamodb_record(stream_arn=settings().conversions_stream, batch_size=100, name="notice_on_change")
def notice_on_change(event: DynamoDBEvent) -> dict[str, Any]:
    """Notes which conversions changed; the schedule below looks at them."""
    from chalicelib.bootstrap import box
    from chalicelib.services import notify

    return {"noted": notify.look(box(), [record.keys["conversionId"]["S"] for record in event])}


@postbacks.schedule(Rate(1, Rate.MINUTES), name="notify_on_schedule")
def notify_on_schedule(_: Any) -> dict[str, Any]:
    from chalicelib.bootstrap import box
    from chalicelib.services import notify

    made, sent = notify.notify(box())
    return {"made": made, "sent": sent}
