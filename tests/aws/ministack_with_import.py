"""Starts ministack with the two calls that Chalice deploys an API with, ImportRestApi and PutRestApi, which it lacks.

Run by ministack's own Python, which has nothing of the box. What it lacks is put together from what it has: its CloudFormation
imports OpenAPI documents already.
"""

import json
from typing import Any

from ministack.services import apigateway_v1 as gateway  # type: ignore[import-not-found]

_ministacks_own = gateway.handle_request


async def handle_request(method: str, path: str, headers: Any, body: Any, query_params: Any) -> Any:
    parts = path.strip("/").split("/")
    mode = (
        (query_params.get("mode") or [""])[0]
        if isinstance(query_params.get("mode"), list)
        else query_params.get("mode")
    )
    if method == "POST" and parts == ["restapis"] and mode == "import":
        api_id = gateway._import_rest_api(json.loads(body), _settings(json.loads(body)))
        return gateway._v1_response(gateway._rest_api_view(gateway._rest_apis[api_id]), 201)
    if method == "PUT" and len(parts) == 2 and parts[0] == "restapis" and parts[1] in gateway._rest_apis:
        return _overwritten(parts[1], json.loads(body))
    return await _ministacks_own(method, path, headers, body, query_params)


def _settings(document: dict[str, Any]) -> dict[str, Any]:
    return {"binaryMediaTypes": document.get("x-amazon-apigateway-binary-media-types", [])}


def _overwritten(api_id: str, document: dict[str, Any]) -> Any:
    """As AWS does it: resources and gateway responses are those of the document; stages and deployments stay."""
    root = {key: resource for key, resource in gateway._resources[api_id].items() if resource["path"] == "/"}
    for resource in root.values():
        resource["resourceMethods"] = {}
    gateway._resources[api_id] = root
    gateway._gateway_responses[api_id] = {}
    gateway._rest_apis[api_id].update(_settings(document), name=document["info"]["title"])
    for path, item in document["paths"].items():
        gateway._import_path_item(api_id, path, item)
    return gateway._v1_response(gateway._rest_api_view(gateway._rest_apis[api_id]))


gateway.handle_request = handle_request

if __name__ == "__main__":
    from ministack.app import main  # type: ignore[import-not-found]

    main()
