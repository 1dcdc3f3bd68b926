"""docs/server-api.md says what is so: its examples are run against the whole box and print what it says they print."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.local.running import RunningBox
from tests.clients.languages import EXAMPLES, compile_csharp, program
from tests.shopper import follow_link

ROOT = EXAMPLES.parent
DOC = (ROOT / "docs" / "server-api.md").read_text()
VECTORS = ROOT / "tests" / "vectors" / "page_signature.json"


@dataclass(frozen=True)
class Example:
    language: str
    kind: str
    """`run`, or `written` for what no runtime here can run."""
    code: str
    prints: str | None


def examples() -> list[Example]:
    fence = re.compile(r"^```(\w+) (\w+)\n(.*?)^```\n(?:```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)
    return [Example(*match.groups()) for match in fence.finditer(DOC)]


def python(code: str, _: Path) -> list[str]:
    return [sys.executable, "-c", code]


def sh(code: str, _: Path) -> list[str]:
    return [program("bash", "bash"), "-euo", "pipefail", "-c", code]


def php(code: str, directory: Path) -> list[str]:
    shutil.copy(EXAMPLES / "php" / "MerchantBox.php", directory)
    (directory / "example.php").write_text(code)
    return [program("php", "php-cli"), "-n", "-d", "display_errors=stderr", "example.php"]


def js(code: str, directory: Path) -> list[str]:
    shutil.copy(EXAMPLES / "node" / "merchant-box.mjs", directory)
    (directory / "example.mjs").write_text(code)
    return [program("node", "Node"), "example.mjs"]


def csharp(code: str, directory: Path) -> list[str]:
    source = directory / "Program.cs"
    source.write_text(code)
    built = compile_csharp(directory / "Program.exe", EXAMPLES / "dotnet" / "MerchantBox.cs", source)
    return [program("mono", "mono-runtime"), str(built)]


RUNNERS: dict[str, Callable[[str, Path], list[str]]] = {
    "python": python,
    "sh": sh,
    "php": php,
    "js": js,
    "csharp": csharp,
}


@pytest.mark.parametrize("language", RUNNERS)
def test_an_example_prints_what_the_page_says(language: str, box: RunningBox, tmp_path: Path) -> None:
    (example,) = [one for one in examples() if (one.language, one.kind) == (language, "run")]
    known = {"BOX_URL": box.url, "BOX_KEY": box.keys["server"], "CLICK_ID": follow_link(box)}
    done = subprocess.run(
        RUNNERS[language](example.code, tmp_path),
        cwd=tmp_path,
        env={**os.environ, **known},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, example.prints), done.stderr


def test_only_the_aspnet_page_is_not_run() -> None:
    written = [one for one in examples() if one.kind != "run"]
    assert [(one.language, one.kind) for one in written] == [("csharp", "written")]
    assert "PageModel" in written[0].code
    fenced_code = re.findall(r"^```(\w+)", DOC, re.MULTILINE)
    assert len(examples()) == sum(name in RUNNERS for name in fenced_code)


def test_each_code_of_the_table_is_one_that_the_box_answers() -> None:
    table = DOC[DOC.index("| status | `code`") : DOC.index("**Repeat**")]
    rows = [row.split("|") for row in table.splitlines() if re.match(r"\| \d", row)]
    codes = [code for row in rows for code in re.findall(r"`(\w+)`", row[2])]
    assert len(codes) > 10
    source = "".join(path.read_text() for path in (ROOT / "chalicelib").rglob("*.py"))
    assert [code for code in codes if f'"{code}"' not in source] == []


def test_the_signature_on_the_page_is_that_of_the_vector() -> None:
    vector = json.loads(VECTORS.read_text())["valid"][0]
    assert vector["message"] in DOC
    assert vector["secret"] in DOC
    assert re.findall(r"`([0-9a-f]{64})`", DOC) == [vector["signature"]]
