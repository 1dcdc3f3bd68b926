"""What each function has to load before it can answer: the beacon neither web3 nor eth_account, the tag and config no AWS client."""

from __future__ import annotations

import json
import os
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
if {tables!r}:
    from chalicelib.adapters import tables
    tables.bind("merchant-box-demo", "eu-west-1", {tables!r}); tables.create_all()
event = {{
    "resource": {route!r}, "path": {path!r}, "httpMethod": {method!r}, "headers": {headers!r}, "multiValueHeaders": {{}},
    "multiValueQueryStringParameters": None, "pathParameters": {parameters!r}, "stageVariables": None, "body": {body!r},
    "isBase64Encoded": False,
    "requestContext": {{"resourcePath": {route!r}, "httpMethod": {method!r}, "path": {path!r}, "identity": {{"sourceIp": "192.0.2.1"}}}},
}}
answer = app(event, None)
loaded = sorted(name for name in {watched!r} if name in sys.modules)
print(json.dumps([answer["statusCode"], loaded, len(sys.modules)]))
"""
"""An invocation as Lambda makes it, in a process of its own."""


def loaded_by(dynamodb_url: str | None, method: str, path: str, body: str, watched: tuple[str, ...]) -> list[object]:
    environment = {**os.environ, "MERCHANT": "demo", "CONFIG_FILE": str(ROOT / "configs" / "demo.json")}
    if dynamodb_url:
        environment["DYNAMODB_URL"] = dynamodb_url
    is_tag = path.startswith("/libs/")
    code = CALL.format(
        tables=dynamodb_url,
        method=method,
        path=path,
        route="/libs/{name}" if is_tag else path,
        parameters={"name": path.removeprefix("/libs/")} if is_tag else None,
        headers={"content-type": "text/plain"} if body else {},
        body=body or None,
        watched=watched,
    )
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
