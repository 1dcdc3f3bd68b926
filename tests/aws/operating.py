"""An operator with a project directory of their own, who has nothing but the `box` and `chalice` commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ops.local import rpc
from ops.local.contract import deployed_contract
from ops.local.process import ROOT
from ops.local.provision import ETHER
from ops.local.wallet import Wallet, fund

COMMAND_SECONDS = 540
CODE = ("app.py", "chalicelib", "requirements.txt")


class Operator:
    """`environment` leads to an AWS (or none); the project holds links to the code under test and its own configs and stages."""

    def __init__(self, project: Path, environment: dict[str, str]) -> None:
        self.project = project
        self.environment = environment
        for folder in ("configs", "vendor", ".chalice"):
            (project / folder).mkdir(parents=True, exist_ok=True)
        for name in CODE:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, project / name)
        (project / "vendor" / "configs").symlink_to("../configs")

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`box …`, whatever comes of it."""
        return self._command([sys.executable, "-m", "ops.cli", *arguments], more)

    def chalice(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._command([str(Path(sys.executable).with_name("chalice")), *arguments], {})

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._command([sys.executable, *arguments], {})

    def _command(self, command: list[str], more: dict[str, str]) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            **self.environment,
            **more,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            command,
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def box(self, *arguments: str) -> Any:
        """The JSON answer of a `box` command that must succeed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, (
            f"box {' '.join(arguments)}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        )
        return json.loads(done.stdout)

    def config(self, merchant: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.project / "configs" / f"{merchant}.json").read_text())
        return found

    def write_config(self, merchant: str, config: dict[str, Any]) -> None:
        (self.project / "configs" / f"{merchant}.json").write_text(json.dumps(config, indent=2))


class Network:
    """A chain with the contract on it, and accounts with funds."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url, self._directory = url, directory
        self.deployer = self.account("deployer")
        self.contract = deployed_contract(url, directory / "contract.json", self.deployer)
        self.chain_id = int(rpc.call(url, "eth_chainId"), 16)

    def account(self, name: str) -> Wallet:
        """A party's own account: its key lies in a file of the test, never in a box."""
        wallet = Wallet(self._directory / f"{name}.key")
        fund(self.url, wallet.address, 10 * ETHER, None)
        return wallet

    def fund(self, address: str, wei: int = ETHER) -> None:
        fund(self.url, address, wei, self.deployer)


def new_merchant(operator: Operator, network: Network, merchant: str, signer: str) -> Wallet:
    """`box new` with every answer as an option, quick batches, and the merchant's own account."""
    owner = network.account(f"{merchant}-owner")
    operator.box(
        "new",
        merchant,
        *("--name", merchant.title(), "--site", f"https://{merchant}.example/", "--account", owner.address),
        *("--chain-id", str(network.chain_id), "--contract", network.contract),
        *("--signer", signer, "--architecture", "x86_64", "--time-zone", "Europe/Amsterdam"),
    )
    config = operator.config(merchant)
    config["network"] |= {"confirmations": 2, "batchSeconds": 1, "anchorMinutes": 1}
    operator.write_config(merchant, config)
    return owner
