"""Compiles contracts/AffiliateNetwork.vy into the committed chalicelib/adapters/affiliate_network.json.

`make contract` runs it; the tests run it again and compare, so the bytes that go on chain are the bytes of the source.
Vyper leaves custom errors out of the ABI; they are read from the source, where each stands in a `method_id("...")`.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "contracts" / "AffiliateNetwork.vy"
ARTIFACT = ROOT / "chalicelib" / "adapters" / "affiliate_network.json"
ERROR = re.compile(r'method_id\("(?P<name>[A-Z]\w*)\((?P<types>[^)]*)\)"\)')


def build(source: str) -> dict[str, Any]:
    """The artifact of a source: ABI with errors, creation and runtime bytecode (0x hex), and what made them."""
    import vyper

    compiled = _compile(source)
    return {
        "contract": SOURCE.stem,
        "compiler": f"vyper {vyper.__version__.split('+')[0]}",
        "sourceSha256": hashlib.sha256(source.encode()).hexdigest(),
        "abi": compiled["abi"] + errors(source),
        "bytecode": compiled["bytecode"],
        "runtime": compiled["bytecode_runtime"],
    }


def bytecode(source: str) -> str:
    """Creation bytecode, 0x hex, of any source: the benchmark compiles what it compares with."""
    return str(_compile(source)["bytecode"])


def _compile(source: str) -> dict[str, Any]:
    from vyper.compiler import compile_code
    from vyper.compiler.settings import Settings

    compiled: dict[str, Any] = compile_code(
        source,
        contract_path=SOURCE.name,
        output_formats=["abi", "bytecode", "bytecode_runtime"],
        no_bytecode_metadata=True,
        settings=Settings(),
    )
    return compiled


def errors(source: str) -> list[dict[str, Any]]:
    """ABI entries of the custom errors a source raises, by name."""
    found = {match["name"]: match["types"] for match in ERROR.finditer(source)}
    return [
        {"type": "error", "name": name, "inputs": [{"name": "", "type": t} for t in types.split(",") if t]}
        for name, types in sorted(found.items())
    ]


def main() -> None:
    artifact = build(SOURCE.read_text())
    ARTIFACT.write_text(json.dumps(artifact, separators=(",", ":")) + "\n")
    print(f"{ARTIFACT.relative_to(ROOT)}: {len(artifact['runtime']) // 2 - 1} bytes deployed")


if __name__ == "__main__":
    main()
