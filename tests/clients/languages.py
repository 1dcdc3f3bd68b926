"""The clients of `examples/`, each driven through a small program in its own language.

A driver reads a JSON list of commands and writes a JSON list of outcomes, one per command:
`{"ok": …}`, `{"failed": {code, detail, status, attempts, retryAfter}}`, `{"refused": code}` for a postback, or
`{"misused": message}` where the client refuses its caller. Each has the `seconds` that its call took, without the
start and the end of the program around it.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"

Command = dict[str, Any]
Outcome = dict[str, Any]


def program(name: str, package: str) -> str:
    """Where it is; never a skip: a client that was not run is not tested."""
    found = shutil.which(name)
    assert found, f"{name} is missing: `make setup` installs {package} from the system's packages"
    return found


def compile_csharp(target: Path, *sources: Path) -> Path:
    """At C# 7 and with warnings as errors: what a .NET Standard 2.0 project starts from."""
    options = ["-langversion:7", "-warn:4", "-warnaserror", "-r:System.Net.Http.dll", f"-out:{target}"]
    done = subprocess.run(
        [program("mcs", "mono-mcs"), *options, *map(str, sources)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (
        f"mcs: {done.stdout}{done.stderr} (System.Net.Http is in libmono-system-net-http4.0-cil)"
    )
    return target


class Language:
    """One language's client; `command` is its driver's command line."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.command = command

    def run(self, *commands: Command) -> list[Outcome]:
        """The outcomes, in order. `printed` keeps everything the last run wrote, for tests about what must not be there."""
        done = subprocess.run(
            self.command, input=json.dumps(commands).encode(), capture_output=True, timeout=120, check=False
        )
        self.printed = (done.stdout + done.stderr).decode()
        assert done.returncode == 0, f"{self.name}: {self.printed}"
        outcomes: list[Outcome] = json.loads(done.stdout)
        assert len(outcomes) == len(commands), f"{self.name}: {self.printed}"
        return outcomes


def node() -> Language:
    return Language("node", [program("node", "Node"), str(HERE / "driver.mjs")])


def php() -> Language:
    # Every notice and deprecation is an error of ours, and stack traces show arguments, as on a development machine.
    settings = ["error_reporting=-1", "display_errors=stderr", "zend.exception_ignore_args=0"]
    options = [part for setting in settings for part in ("-d", setting)]
    return Language("php", [program("php", "php-cli"), "-n", *options, str(HERE / "driver.php")])


def dotnet(directory: Path) -> Language:
    driver = compile_csharp(directory / "Driver.exe", EXAMPLES / "dotnet" / "MerchantBox.cs", HERE / "Driver.cs")
    return Language("dotnet", [program("mono", "mono-runtime"), str(driver)])
