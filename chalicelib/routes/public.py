"""What anyone may read: the public config, receipts and click proofs, the page that checks them, health."""

from pathlib import Path
from typing import Any

from chalice.app import Request, Response

from chalicelib.routes.http import Routes, answer
from chalicelib.routes.problems import Headers

public = Routes(__name__)

VERIFY_PAGE = Path(__file__).parent.parent / "web" / "verify" / "index.html"
FIVE_MINUTES = {"Cache-Control": "public, max-age=300"}


@public.route("/v1/config", methods=["GET"], cors="any", limited=False)
def config(_: Request) -> Response:
    """The tag reads this. No AWS client is imported on the way."""
    from chalicelib.bootstrap import box
    from chalicelib.routes.tag import current

    held = box().config
    shown: dict[str, Any] = {
        "merchant": {"id": held.merchant.id, "name": held.merchant.name, "account": held.merchant.account},
        "attributionWindowDays": held.agreement_defaults.attribution_window_days,
        "currency": held.currency,
        "timeZone": held.time_zone,
        "origins": held.site.origins,
        "clickParameters": held.tracking.click_parameters,
        "viaParameter": held.tracking.via_parameter,
        "orderIdKeys": held.tracking.order_id_keys,
        "consent": held.tracking.consent,
        "cookieDomain": held.tracking.cookie_domain,
        "chainId": held.network.chain_id,
        "contract": held.network.contract,
        "signer": box().settings.signer_address,
        "tag": current(),
    }
    return answer(shown, headers={**FIVE_MINUTES})


@public.route("/v1/config/schema", methods=["GET"], cors="any", limited=False)
def config_schema(_: Request) -> Response:
    from chalicelib.domain.config import json_schema

    return answer(json_schema(), headers={**FIVE_MINUTES})


@public.route("/v1/receipts/{conversion_id}", methods=["GET"], cors="any")
def receipt(_: Request, conversion_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import receipts

    status, shown = receipts.receipt(box(), conversion_id)
    return answer(shown, status)


@public.route("/v1/clicks/{click_id}/proof", methods=["GET"], cors="any")
def click_proof(_: Request, click_id: str) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import anchor

    shown = anchor.proof(box(), click_id)
    return answer(shown, 200 if "root" in shown else 202)


@public.route("/assets/verify.html", methods=["GET"], limited=False)
def verify_page(_: Request) -> Response:
    """The page that checks a receipt without any box, to be saved. It brings its own Content-Security-Policy, and asks the node that its
    reader names."""
    headers: Headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "public, max-age=300",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Response(VERIFY_PAGE.read_text(encoding="utf-8"), headers, 200)


@public.route("/v1/status", methods=["GET"], cors="any")
def status(_: Request) -> Response:
    from chalicelib.bootstrap import box
    from chalicelib.services import health

    accepts, shown = health.health(box())
    return answer(shown, 200 if accepts else 503)
