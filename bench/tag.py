"""How big the tag is beside its peers: `python -m bench.tag` prints the table.

Every row is measured the same way: bundled and minified by the pinned esbuild where the package is a module, then raw bytes and
gzip -9. The peers come from npm, pinned in bench/peers/package-lock.json and used for nothing else. The original's figures were
taken from its connector 1.5.3.
"""

from __future__ import annotations

import gzip
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench" / "peers"
ESBUILD = ROOT / "node_modules" / ".bin" / "esbuild"


@dataclass(frozen=True)
class Row:
    """Bytes."""

    name: str
    raw: int
    zipped: int
    note: str


PAGES = {
    "Plausible tracker": (
        "import { init } from '@plausible-analytics/tracker'; init({ domain: 'shop.example' })",
        "page views and events",
    ),
    "Snowplow browser tracker": (
        "import { newTracker, trackPageView } from '@snowplow/browser-tracker';"
        "newTracker('a', 'https://c.example', {}); trackPageView()",
        "events with a retry queue in local storage",
    ),
    "Minimal Analytics GA4": (
        "import { track } from '@minimal-analytics/ga4'; track('G-1')",
        "a small client of Google Analytics 4",
    ),
    "Dub analytics (loader alone)": (
        "import { inject } from '@dub/analytics'; inject({})",
        "loads a further script from Dub's own host; only the loader is on npm",
    ),
}


def _row(name: str, content: bytes, note: str) -> Row:
    return Row(name, len(content), len(gzip.compress(content, 9)), note)


def _peer(name: str, page: str, note: str) -> Row:
    options = ["--bundle", "--minify", "--format=iife", "--target=es2021", "--legal-comments=none", "--log-level=error"]
    built = subprocess.run([ESBUILD, *options], cwd=PEERS, input=page.encode(), check=True, capture_output=True)
    return _row(name, built.stdout, note)


def rows() -> list[Row]:
    """The tag, its stub and panel, then the peers."""
    if not (PEERS / "node_modules").is_dir():
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=PEERS, check=True, capture_output=True
        )
    web = ROOT / "chalicelib" / "web" / "tag"
    return [
        _row("mtag", (web / "mtag.js").read_bytes(), "what this table is about"),
        _row("mtag's stub", (ROOT / "tag" / "stub.html").read_bytes().strip(), "inline in the page"),
        _row("mtag's debug panel", (web / "mtag-debug.js").read_bytes(), "loaded on demand only"),
        Row("the original mtag (connector 1.5.3)", 12_978, 4_591, "as it was served"),
        *(_peer(name, page, note) for name, (page, note) in PAGES.items()),
    ]


def main() -> None:
    print(f"{'tag':36} {'raw':>8} {'gzip -9':>8}  note")
    for row in rows():
        print(f"{row.name:36} {row.raw:8,} {row.zipped:8,}  {row.note}")


if __name__ == "__main__":
    main()
