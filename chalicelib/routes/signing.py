"""The functions that no browser calls: the signer on changes and on schedule, the confirmer, the click anchor."""

from typing import Any

from chalice.app import Blueprint, DynamoDBEvent, Rate

from chalicelib.settings import settings

signing = Blueprint(__name__)


@signing.on_dynamodb_record(stream_arn=settings().conversions_stream, batch_size=100, name="sign_on_change")
def sign_on_change(_: DynamoDBEvent) -> dict[str, Any]:
    """A conversion changed. Which one does not matter: the outbox says what is due."""
    return _record()


@signing.schedule(Rate(1, Rate.MINUTES), name="sign_on_schedule")
def sign_on_schedule(_: Any) -> dict[str, Any]:
    """The safety net: what no stream event led to, this finds."""
    return _record()


@signing.schedule(Rate(1, Rate.MINUTES), name="confirm_on_schedule")
def confirm_on_schedule(_: Any) -> dict[str, Any]:
    from chalicelib.bootstrap import box
    from chalicelib.services.confirm import confirm

    return {"changed": confirm(box())}


@signing.schedule(Rate(1, Rate.MINUTES), name="anchor_on_schedule")
def anchor_on_schedule(_: Any) -> dict[str, Any]:
    """Each minute it asks whether the config's period is over."""
    from chalicelib.bootstrap import box
    from chalicelib.services.anchor import anchor

    return {"anchored": anchor(box())}


def _record() -> dict[str, Any]:
    from chalicelib.bootstrap import box
    from chalicelib.services.record import record

    return {"sent": record(box())}
