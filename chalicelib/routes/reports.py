"""Figures and files: statistics, the export, the payout statement."""

from urllib.parse import urlencode

from chalice.app import Request, Response

from chalicelib.routes.http import Routes, answer, caller_of, query_of
from chalicelib.routes.problems import Headers

reports = Routes(__name__)


@reports.route("/v1/stats", methods=["GET"])
def stats(request: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import report

    caller = caller_of(request, "readonly", "server", "publisher")
    return answer(report.stats(box(), query_of(request), caller.publisher_id))


@reports.route("/v1/export/conversions.csv", methods=["GET"])
def export_conversions(request: Request) -> Response:
    """Follow `Link: rel=next` until there is none; its address is relative, and so holds under any prefix."""
    from chalicelib.bootstrap import box
    from chalicelib.services import export, report

    caller = caller_of(request, "readonly", "server", "publisher")
    query = query_of(request)
    wanted = report.read_filter(box(), query, caller.publisher_id)
    text, cursor = export.page(box(), wanted, private=caller.publisher_id is None)
    headers: Headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="conversions.csv"',
        "Cache-Control": "no-store",
    }
    if cursor is not None:
        period = {"from": wanted.first.isoformat(), "to": wanted.last.isoformat()}
        headers["Link"] = f'<conversions.csv?{urlencode({**query, **period, "cursor": cursor})}>; rel="next"'
    return Response(text, headers, 200)


@reports.route("/v1/statements/{month}", methods=["GET"])
def statement(request: Request, month: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import statements

    caller = caller_of(request, "readonly", "server", "publisher")
    return answer(statements.statement(box(), month, caller.publisher_id))
