"""Many rows in one call, JSON or CSV: conversions and corrections. And the erasure of one person's order."""

from chalice.app import Request, Response

from chalicelib.routes.http import Routes, answer, body_of, caller_of

batches = Routes(__name__)

JSON_OR_CSV = ["application/json", "text/csv"]
MAX_BATCH_BYTES = 4 * 1024 * 1024


@batches.route("/v1/conversions/batch", methods=["POST"], content_types=JSON_OR_CSV)
def create_many(request: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.domain import rows
    from chalicelib.domain.report import ServerBody, read_body
    from chalicelib.services import batch

    caller_of(request, "server")
    raw = body_of(request, MAX_BATCH_BYTES)
    if _is_csv(request):
        found = rows.conversion_rows(raw)
    else:
        found = [rows.read_row(row, ServerBody) for row in read_body(raw, rows.ConversionRows).conversions]
    return answer({"results": batch.conversions(box(), rows.checked(found))})


@batches.route("/v1/validations", methods=["POST"], content_types=JSON_OR_CSV)
def validate_many(request: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.domain import rows
    from chalicelib.domain.report import read_body
    from chalicelib.services import batch

    caller = caller_of(request, "server")
    raw = body_of(request, MAX_BATCH_BYTES)
    if _is_csv(request):
        found = rows.validation_rows(raw)
    else:
        found = [rows.read_row(row, rows.ValidationRow) for row in read_body(raw, rows.ValidationRows).validations]
    return answer({"results": batch.validations(box(), rows.checked(found), caller.name)})


@batches.route("/v1/erasures", methods=["POST"])
def erase(request: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.domain.errors import Unprocessable
    from chalicelib.domain.report import read_body
    from chalicelib.routes.bodies import ErasureBody
    from chalicelib.services import erase

    caller_of(request, "admin")
    body = read_body(body_of(request), ErasureBody)
    if (body.order_id is None) == (body.conversion_id is None):
        raise Unprocessable("erasure_names_nothing", "Give either an orderId or a conversionId.")
    done = (
        erase.erase_order(box(), body.order_id)
        if body.order_id is not None
        else erase.erase_conversion(box(), body.conversion_id or "")
    )
    return answer({"conversions": done.conversions, "clicks": done.clicks})


def _is_csv(request: Request) -> bool:
    return str(request.headers.get("content-type", "")).lower().startswith("text/csv")
