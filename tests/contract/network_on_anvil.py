"""The contract on a node of its own, whose time the tests may move. Reads as the box and the merchant would act."""

import http.client
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount

from chalicelib.adapters import contract
from chalicelib.adapters.contract_abi import artifact, functions
from chalicelib.adapters.contract_events import AgreementRegistered, Event, Recorded, decode_logs
from chalicelib.domain.agreement import Rule, Terms, agreement_id, eip712, message
from chalicelib.domain.batch import Batch, Entry, pack
from chalicelib.domain.keccak import keccak256

CHAIN_ID = 31337
PRICE = hex(10**9)
GAS = hex(16_000_000)  # the most a transaction may take, nearly; nothing here is estimated
_ids: Iterator[int] = itertools.count(1)
_numbers: Iterator[int] = itertools.count(1)


class Refused(Exception):
    """The contract refused: `error` is its named error, None for a revert without one."""

    def __init__(self, error: contract.NetworkRefusal | None, text: str) -> None:
        super().__init__(f"{error.name}{error.arguments}" if error else text)
        self.error = error
        self.name = error.name if error else ""


def new_account() -> LocalAccount:
    """A fresh key; the same ones in every run, so that a failure can be repeated."""
    account: LocalAccount = Account.from_key(keccak256(b"test account %d" % next(_numbers)))
    return account


def commitment(number: int) -> bytes:
    return keccak256(b"conversion %d" % number)[:20]


def sign(account: LocalAccount, digest: bytes) -> bytes:
    return bytes(Account.unsafe_sign_hash(digest, account.key).signature)


class Network:
    """A deployed contract. Any address may send (the node impersonates it); each call is mined at once."""

    def __init__(self, url: str, bytecode: str = "") -> None:
        self.url = url
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        self.rpc("anvil_autoImpersonateAccount", True)
        self.payer = self.rpc("eth_accounts")[0]
        receipt = self.receipt(self._send({"from": self.payer, "data": bytecode or artifact()["bytecode"]}))
        self.address: str = receipt["contractAddress"]
        self.views = contract.NetworkViews(self.call)

    def _post(self, document: Any) -> Any:
        """One connection for all calls: the model's test makes a hundred thousand of them."""
        body, headers = json.dumps(document).encode(), {"Content-Type": "application/json"}
        try:
            self._connection.request("POST", "/", body, headers)
            return json.loads(self._connection.getresponse().read())
        except (http.client.HTTPException, ConnectionError):
            # The node closed it while nothing was asked; nothing was sent then, so asking again is safe.
            self._connection.close()
            self._connection.request("POST", "/", body, headers)
            return json.loads(self._connection.getresponse().read())

    def rpc(self, method: str, *params: Any) -> Any:
        answer = self._post({"jsonrpc": "2.0", "id": next(_ids), "method": method, "params": params})
        if "error" in answer:
            data = answer["error"].get("data")
            if isinstance(data, str) and data.startswith("0x"):
                raise Refused(contract.decode_error(bytes.fromhex(data[2:])), answer["error"]["message"])
            raise Refused(None, answer["error"]["message"])
        return answer["result"]

    def call_many(self, calls: list[bytes]) -> list[bytes]:
        """The answers of many views, in one round trip."""
        requests = [
            {
                "jsonrpc": "2.0",
                "id": number,
                "method": "eth_call",
                "params": [{"to": self.address, "data": "0x" + data.hex()}, "latest"],
            }
            for number, data in enumerate(calls)
        ]
        answers = sorted(self._post(requests), key=lambda answer: int(answer["id"]))
        return [bytes.fromhex(answer["result"][2:]) for answer in answers]

    def submit(self, sender: str, data: bytes) -> str:
        """A transaction's hash, whether it is mined yet or not."""
        return self._send({"from": sender, "to": self.address, "data": "0x" + data.hex(), "gas": hex(2_000_000)})

    def _send(self, transaction: dict[str, Any]) -> str:
        sent: str = self.rpc("eth_sendTransaction", {"gas": GAS, "gasPrice": PRICE, **transaction})
        return sent

    def receipt(self, transaction: str) -> dict[str, Any]:
        """The node answers a send before the block is there, by a hair."""
        for _ in range(2000):
            found: dict[str, Any] | None = self.rpc("eth_getTransactionReceipt", transaction)
            if found is not None:
                return found
            time.sleep(0.001)
        raise AssertionError(f"{transaction} was not mined")

    def fund(self, address: str) -> None:
        self.rpc("anvil_setBalance", address, hex(10**20))

    def call(self, data: bytes, sender: str | None = None) -> bytes:
        transaction = {"to": self.address, "data": "0x" + data.hex(), "from": sender or self.payer}
        answer: str = self.rpc("eth_call", transaction, "latest")
        return bytes.fromhex(answer[2:])

    def send(self, sender: str, data: bytes, to: str | None = None) -> dict[str, Any]:
        """The receipt of a call that went through. Raises Refused for one that did not."""
        transaction = {"from": sender, "to": to or self.address, "data": "0x" + data.hex()}
        receipt: dict[str, Any] = self.rpc("eth_sendTransactionSync", {"gas": GAS, "gasPrice": PRICE, **transaction})
        if receipt["status"] != "0x1":
            self.rpc("eth_call", {**transaction, "gas": GAS}, "latest")
            raise AssertionError("a transaction failed and the same call goes through")
        return receipt

    def events(self, sender: str, data: bytes) -> list[Event]:
        return decode_logs(self.send(sender, data)["logs"], self.address)

    def now(self) -> int:
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def wait(self, seconds: int) -> None:
        """Mines a block that many seconds after the last one."""
        self.rpc("evm_setNextBlockTimestamp", hex(self.now() + seconds))
        self.rpc("evm_mine")

    def register(self, terms: Terms, merchant: LocalAccount, publisher: LocalAccount) -> bytes:
        """Signs as both parties, registers and gives the id."""
        digest = agreement_id(terms, CHAIN_ID, self.address)
        data = contract.encode_register(terms, sign(merchant, digest), sign(publisher, digest))
        (event,) = self.events(self.payer, data)
        assert isinstance(event, AgreementRegistered)
        return event.agreement

    def register_message(self, message: dict[str, Any], merchant: LocalAccount, publisher: LocalAccount) -> list[Event]:
        """The same for a message that no `Terms` may say. The contract itself is asked what is to be signed."""
        digest = self.call(_call_with("agreementId", message))
        signatures = sign(merchant, digest), sign(publisher, digest)
        return self.events(self.payer, _call_with("registerAgreement", message, *signatures))


def _call_with(function: str, message: dict[str, Any], *more: bytes) -> bytes:
    """Text goes as its bytes, which may be none of UTF-8: the two are encoded alike."""
    selector, types, _ = functions()[function]
    fields = {
        **message,
        "currency": message["currency"].encode("utf-8", "surrogateescape"),
        "groups": [name.encode("utf-8", "surrogateescape") for name in message["groups"]],
        "rules": [tuple(rule.values()) for rule in message["rules"]],
    }
    as_bytes = [kind.replace("string", "bytes") for kind in types]
    return selector + encode(as_bytes, (tuple(fields.values()), *more))


class Merchant:
    """A merchant with an operational key and a way to sign agreements with new publishers."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.account = new_account()
        self.key = new_account()
        network.fund(self.account.address)
        network.fund(self.key.address)
        self.address = self.account.address.lower()
        self.terms: dict[bytes, Terms] = {}
        self.publishers: dict[bytes, LocalAccount] = {}
        self.registered_at: dict[bytes, int] = {}
        network.send(self.address, contract.encode_authorise(self.key.address, network.now() + 4000 * 86_400))

    def agree(self, *rules: Rule, publisher: LocalAccount | None = None, **terms: Any) -> bytes:
        """A registered agreement's id; 10 % of a sale unless told otherwise."""
        publisher = publisher or new_account()
        nonce, version = self.network.views.next_agreement(self.address, publisher.address)
        full = Terms(
            merchant=self.address,
            publisher=publisher.address.lower(),
            currency="EUR",
            rules=rules or (Rule("sale", rate=100_000),),
            **{"deadline": self.network.now() + 3600, "nonce": nonce, "version": version, **terms},
        )
        agreement = self.network.register(full, self.account, publisher)
        self.terms[agreement] = full
        self.publishers[agreement] = publisher
        self.registered_at[agreement] = self.network.now()
        return agreement

    def agree_on_anything(self, publisher: LocalAccount | None = None, **odd: Any) -> bytes:
        """Terms that no box would offer, signed and registered: fields of the message as the contract names them."""
        publisher = publisher or new_account()
        nonce, version = self.network.views.next_agreement(self.address, publisher.address)
        plain = Terms(
            merchant=self.address,
            publisher=publisher.address.lower(),
            currency="EUR",
            rules=(Rule("sale", rate=100_000),),
            deadline=self.network.now() + 3600,
            nonce=nonce,
            version=version,
        )
        terms = {**message(plain), **odd}
        typed = {**eip712(plain, CHAIN_ID, self.network.address), "message": terms}
        signatures = [
            bytes(Account.sign_typed_data(a.key, full_message=typed).signature) for a in (self.account, publisher)
        ]
        fields = tuple({**terms, "rules": [tuple(rule.values()) for rule in terms["rules"]]}.values())
        (log,) = self.network.send(self.network.payer, contract._call("registerAgreement", fields, *signatures))["logs"]
        return bytes.fromhex(log["topics"][1][2:])

    def silence_all(self) -> set[bytes]:
        return {agreement for agreement, terms in self.terms.items() if terms.silence == "all"}

    def pack(self, *entries: Entry) -> Batch:
        return pack(entries, self.silence_all())

    def record(self, batch: Batch) -> Recorded:
        (event,) = self.network.events(self.key.address, contract.encode_record(self.address, batch))
        assert isinstance(event, Recorded)
        return event

    def send(self, data: bytes) -> list[Event]:
        """As the operational key."""
        return self.network.events(self.key.address, data)
