"""What each function has to load before it can answer: the beacon neither web3 nor eth_account, the tag and config no AWS client."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ops.local.dynoxide import Dynoxide

ROOT = Path(__file__).parents[2]
HEAVY = ("web3", "eth_account", "eth_keys", "coincurve")
AWS = ("boto3", "botocore", "pynamodb")
CALL = """
import json, sys
sys.path.insert(0, ".")
from app import app
from chalice.test import Client
from chalicelib.adapters import tables
if {tables!r}:
    tables.bind("merchant-box-demo", "eu-west-1", {tables!r}); tables.create_all()
with Client(app) as client:
    answer = client.http.request({method!r}, {path!r}, headers={{"Content-Type": "text/plain"}}, body={body!r})
loaded = sorted(name for name in {watched!r} if name in sys.modules)
print(json.dumps([answer.status_code, loaded, len(sys.modules)]))
"""


def loaded_by(dynamodb_url: str | None, method: str, path: str, body: str, watched: tuple[str, ...]) -> list[object]:
    import os

    environment = {**os.environ, "MERCHANT": "demo", "CONFIG_FILE": str(ROOT / "configs" / "demo.json")}
    if dynamodb_url:
        environment["DYNAMODB_URL"] = dynamodb_url
    code = CALL.format(tables=dynamodb_url, method=method, path=path, body=body, watched=watched)
    code = code if dynamodb_url else code.replace("from chalicelib.adapters import tables\n", "")
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found: list[object] = json.loads(run.stdout.splitlines()[-1])
    return found


def test_a_beacon_loads_neither_web3_nor_eth_account(tmp_path: Path) -> None:
    dynamodb = Dynoxide(tmp_path, usual_port=0)
    try:
        body = json.dumps({"action": "sale", "values": ["1.00"], "metadata": {"orderId": "B-1"}})
        status, loaded, modules = loaded_by(dynamodb.url, "POST", "/v1/beacon/conversion", body, HEAVY)
        assert (status, loaded) == (202, [])
        assert isinstance(modules, int) and modules < 900
    finally:
        dynamodb.stop()


def test_the_tag_the_config_and_the_description_load_no_aws_client() -> None:
    for path in ("/libs/mtag.js", "/v1/config", "/openapi.json", "/docs"):
        status, loaded, _ = loaded_by(None, "GET", path, "", (*HEAVY, *AWS))
        assert (status, loaded) == (200, []), path
