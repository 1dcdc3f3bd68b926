"""What a box stands on, as one CloudFormation template: tables, dead-letter queue, signing key, alarms, dashboard.

The tables are generated from the models that the code reads and writes (chalicelib.adapters.tables), so there is one source. The
functions, the REST API and their roles are Chalice's; deploy.py puts the rest of the gateway in place.
"""

from __future__ import annotations

from typing import Any

from pynamodb.models import Model

from chalicelib.adapters.tables import MODELS, TTL_TABLES, Conversions
from ops.aws.alarms import alarms
from ops.aws.dashboard import dashboard
from ops.aws.functions import functions
from ops.aws.names import Names

Resource = dict[str, Any]

DEAD_LETTER_DAYS = 14
LOG_DAYS = 30
LOW_BALANCE = "LowBalanceGwei"
"""The output that keeps what an operator chose, for whoever provisions the box the next time."""
KEY_ADMIN_ACTIONS = (
    "CancelKeyDeletion CreateAlias DeleteAlias DescribeKey DisableKey EnableKey GetKeyPolicy GetKeyRotationStatus ListResourceTags "
    "PutKeyPolicy ScheduleKeyDeletion TagResource UntagResource UpdateAlias UpdateKeyDescription"
)


def template(merchant: str, signer: str, low_balance_gwei: int) -> dict[str, Any]:
    """The template of one box. `signer` is the config's signer kind; `low_balance_gwei`: below it the balance alarm goes off."""
    names = Names(merchant)
    resources: dict[str, Resource] = {table_id(model): _table(names, model) for model in MODELS}
    resources["DeadLetters"] = _dead_letters(names)
    resources["Alarms"] = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": f"{names.prefix}-alarms"}}
    if signer == "kms":
        resources |= _key(names)
    resources |= _log_groups(names) | alarms(names, low_balance_gwei)
    resources["Dashboard"] = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {"DashboardName": names.prefix, "DashboardBody": {"Fn::Sub": dashboard(names)}},
    }
    for resource in resources.values():
        if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::KMS::Key", "AWS::SNS::Topic"):
            resource["Properties"]["Tags"] = [{"Key": "merchant-box", "Value": merchant}]
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Merchant box of {merchant}",
        "Resources": resources,
        "Outputs": _outputs(signer, low_balance_gwei),
    }


def table_id(model: type[Model]) -> str:
    return f"{model.__name__}Table"


def _table(names: Names, model: type[Model]) -> Resource:
    schema: Any = model._get_schema()
    properties: dict[str, Any] = {
        "TableName": f"{names.prefix}-{model.__name__.lower()}",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": schema["attribute_definitions"],
        "KeySchema": _key_schema(schema["key_schema"]),
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {"SSEEnabled": True},
        "DeletionProtectionEnabled": True,
    }
    if indexes := schema.get("global_secondary_indexes"):
        properties["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index["index_name"],
                "KeySchema": _key_schema(index["key_schema"]),
                "Projection": index["projection"],
            }
            for index in indexes
        ]
    if model in TTL_TABLES:
        properties["TimeToLiveSpecification"] = {"AttributeName": "expiresAt", "Enabled": True}
    if (view := getattr(model.Meta, "stream_view_type", None)) is not None:
        properties["StreamSpecification"] = {"StreamViewType": view}
    return {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }


def _key_schema(parts: list[dict[str, str]]) -> list[dict[str, str]]:
    """The hash key first, which CloudFormation insists on."""
    return sorted(parts, key=lambda part: part["KeyType"])


def _log_groups(names: Names) -> dict[str, Resource]:
    """Ours rather than Chalice's, which in its template names a resource that does not exist; the functions may then not make groups."""
    return {
        f"{function.name.title().replace('_', '')}Logs": {
            "Type": "AWS::Logs::LogGroup",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"LogGroupName": names.log_group(function.name), "RetentionInDays": LOG_DAYS},
        }
        for function in functions()
    }


def _dead_letters(names: Names) -> Resource:
    """Where the stream's records go that no attempt could handle."""
    properties = {
        "QueueName": f"{names.prefix}-dead-letters",
        "MessageRetentionPeriod": DEAD_LETTER_DAYS * 86_400,
        "SqsManagedSseEnabled": True,
    }
    return {
        "Type": "AWS::SQS::Queue",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }


def _key(names: Names) -> dict[str, Resource]:
    """The operational key. The account administers it, IAM policies grant its use, and ours grant that to the signer alone."""
    account = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    administer = [f"kms:{action}" for action in KEY_ADMIN_ACTIONS.split()]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": account, "Action": administer, "Resource": "*"},
            {"Effect": "Allow", "Principal": account, "Action": ["kms:GetPublicKey", "kms:Sign"], "Resource": "*"},
        ],
    }
    key = {
        "Description": f"Operational key of the merchant box {names.merchant}",
        "KeySpec": "ECC_SECG_P256K1",
        "KeyUsage": "SIGN_VERIFY",
        "KeyPolicy": policy,
        "PendingWindowInDays": 30,
    }
    return {
        "SignerKey": {
            "Type": "AWS::KMS::Key",
            "DeletionPolicy": "Delete",
            "UpdateReplacePolicy": "Retain",
            "Properties": key,
        },
        "SignerAlias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": names.key_alias(), "TargetKeyId": {"Ref": "SignerKey"}},
        },
    }


def _outputs(signer: str, low_balance_gwei: int) -> dict[str, Any]:
    outputs: dict[str, Any] = {
        "ConversionsStream": {"Value": {"Fn::GetAtt": [table_id(Conversions), "StreamArn"]}},
        "DeadLettersArn": {"Value": {"Fn::GetAtt": ["DeadLetters", "Arn"]}},
        "AlarmsTopic": {"Value": {"Ref": "Alarms"}},
        LOW_BALANCE: {"Value": str(low_balance_gwei)},
    }
    if signer == "kms":
        outputs["SignerKeyArn"] = {"Value": {"Fn::GetAtt": ["SignerKey", "Arn"]}}
    return outputs
