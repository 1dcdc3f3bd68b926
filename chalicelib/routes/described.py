"""The API's description, for programs and for people."""

from functools import lru_cache
from pathlib import Path

from chalice.app import Request, Response

from chalicelib.routes.http import Routes, answer

described = Routes(__name__)

PAGE = Path(__file__).parent.parent / "web" / "docs" / "index.html"
FIVE_MINUTES = "public, max-age=300"


@described.route("/openapi.json", methods=["GET"], cors="any", limited=False)
def openapi_json(_: Request) -> Response:
    from chalicelib.routes.openapi import document

    return answer(document(), headers={"Cache-Control": FIVE_MINUTES})


@described.route("/docs", methods=["GET"], limited=False)
def docs(_: Request) -> Response:
    """One page without anything from elsewhere; it reads openapi.json beside it."""
    content, policy = _page()
    return Response(
        content,
        {
            "Content-Type": "text/html; charset=utf-8",
            "Cache-Control": FIVE_MINUTES,
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
        },
        200,
    )


@lru_cache(maxsize=1)
def _page() -> tuple[str, str]:
    import base64
    import hashlib

    content = PAGE.read_text(encoding="utf-8")

    def hashed(tag: str) -> str:
        inside = content.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        return base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()

    policy = (
        f"default-src 'none'; script-src 'sha256-{hashed('script')}'; style-src 'sha256-{hashed('style')}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return content, policy
