"""The three kinds of signer: each signs what networks accept, and none shows its key to anybody."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from coincurve import PrivateKey
from eth_account import Account

from chalicelib.adapters import secrets
from chalicelib.adapters.kms import CURVE_ORDER, KmsSigner, split_der
from chalicelib.adapters.signers import KeySigner, Signer, SignerRefused, build
from chalicelib.domain import config
from chalicelib.domain.keccak import keccak256
from chalicelib.settings import Settings, settings

KEY = keccak256(b"a key of this test alone")
ADDRESS = Account.from_key(KEY).address
SPKI_PREFIX = bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200")


class Kms:
    """AWS KMS at its seam: DER signatures over a digest with random nonces, s as it falls, the public key as SubjectPublicKeyInfo."""

    def __init__(self) -> None:
        self._key = PrivateKey(KEY)
        self.asked: list[dict[str, Any]] = []
        self.flipped = False

    def get_public_key(self, KeyId: str) -> dict[str, bytes]:  # noqa: ARG002
        return {"PublicKey": SPKI_PREFIX + self._key.public_key.format(compressed=False)}

    def sign(self, **asked: Any) -> dict[str, bytes]:
        self.asked.append(asked)
        r, s = split_der(self._key.sign(asked["Message"], hasher=None))
        self.flipped = not self.flipped
        return {"Signature": der(r, CURVE_ORDER - s if self.flipped else s)}


def der(r: int, s: int) -> bytes:
    def integer(value: int) -> bytes:
        body = value.to_bytes(value.bit_length() // 8 + 1, "big")
        return b"\x02" + bytes([len(body)]) + body

    body = integer(r) + integer(s)
    return b"\x30" + bytes([len(body)]) + body


def one(kind: Literal["local", "keystore", "kms"], chain_id: int, given: Settings) -> Signer:
    (signer,) = build(config.Signer(kind), chain_id, given)
    return signer


def assert_signs(signer: Signer, count: int) -> None:
    parities = set()
    for number in range(count):
        digest = keccak256(b"digest %d" % number)
        parity, r, s = signer.sign_digest(digest)
        assert s <= CURVE_ORDER // 2, "networks refuse a high s"
        recovered = Account._recover_hash(digest, vrs=(parity + 27, r, s))
        assert recovered == signer.address == ADDRESS
        parities.add(parity)
    assert parities == {0, 1}


def test_a_kms_signature_is_made_low_and_recovers_to_its_address_each_time() -> None:
    kms = Kms()
    assert_signs(KmsSigner(settings(), "alias/a-key", kms), 300)
    assert {(ask["MessageType"], ask["SigningAlgorithm"]) for ask in kms.asked} == {("DIGEST", "ECDSA_SHA_256")}


@pytest.mark.parametrize(
    "bad", [b"", b"\x30\x06\x02\x01\x01\x02\x01", b"\x31" + der(1, 1)[1:], der(1, 1) + b"\x00", der(1, 1)[:-1]]
)
def test_bytes_that_are_no_der_signature_are_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match="DER"):
        split_der(bad)


def test_a_signature_by_another_key_is_refused_not_sent() -> None:
    kms = Kms()
    kms.sign = lambda **asked: {"Signature": PrivateKey(keccak256(b"another")).sign(asked["Message"], hasher=None)}  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="does not recover"):
        KmsSigner(settings(), "alias/a-key", kms).sign_digest(keccak256(b"digest"))


def keystore_settings(monkeypatch: pytest.MonkeyPatch, password: str) -> Settings:
    """A real V3 file as geth writes it, and its password, where the parameter store would have them."""
    file = json.dumps(Account.encrypt(KEY, "correct horse", kdf="scrypt", iterations=4096))
    assert json.loads(file)["version"] == 3
    kept = {"keystore": file, "keystore-password": password}
    monkeypatch.setattr(secrets, "parameter", lambda _, name: kept[name])
    monkeypatch.setattr("chalicelib.adapters.keystore.parameter", lambda _, name: kept[name])
    return settings()


def test_a_keystore_of_version_3_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = one("keystore", 1, keystore_settings(monkeypatch, "correct horse"))
    assert_signs(signer, 30)


def test_a_wrong_password_opens_no_keystore_and_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = "battery " + "staple"
    with pytest.raises(ValueError, match="MAC mismatch") as refusal:
        one("keystore", 1, keystore_settings(monkeypatch, wrong))
    assert wrong not in "".join(traceback.format_exception(refusal.value))


def local_settings(tmp_path: Path) -> Settings:
    file = tmp_path / "signer.key"
    file.write_text("0x" + KEY.hex() + "\n")
    return replace(settings(), signer_key_files=(file,))


def test_a_local_key_signs_on_a_private_network_and_is_refused_on_any_other(tmp_path: Path) -> None:
    assert_signs(one("local", 31337, local_settings(tmp_path)), 30)
    for public in (1, 10, 137, 8453, 42161, 11155111):
        with pytest.raises(SignerRefused, match="use keystore or kms"):
            one("local", public, local_settings(tmp_path))


def test_as_many_keys_sign_as_the_config_asks_for_and_none_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given, other = local_settings(tmp_path), keccak256(b"a second key of this test alone")
    file = tmp_path / "second.key"
    file.write_text(other.hex())
    two = config.Signer("local", keys=2)
    assert [signer.address for signer in build(two, 31337, given)] == [ADDRESS], "as far as they are provisioned"
    assert "asks for 2 signer keys, 1 are provisioned" in caplog.text
    both = replace(given, signer_key_files=(*given.signer_key_files, file))
    assert [signer.address for signer in build(two, 31337, both)] == [ADDRESS, Account.from_key(other).address]
    file.write_text(KEY.hex())
    assert [signer.address for signer in build(two, 31337, both)] == [ADDRESS]


def test_a_key_is_in_no_repr_no_log_and_no_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    signer = one("local", 31337, local_settings(tmp_path))
    kept = one("keystore", 1, keystore_settings(monkeypatch, "correct horse"))
    said = [repr(signer), str(signer), f"{signer!a}", repr(kept), repr(KmsSigner(settings(), "alias/a-key", Kms()))]
    for found in (signer, kept):
        with pytest.raises(ValueError, match="32 bytes") as short:
            found.sign_digest(b"too short")
        said.append("".join(traceback.TracebackException.from_exception(short.value, capture_locals=True).format()))
    with pytest.raises(TypeError):
        pickle.dumps(signer)
    (tmp_path / "signer.key").write_text("0x" + KEY.hex() + "zz")
    with pytest.raises(SignerRefused) as refusal:
        one("local", 31337, local_settings_as_is(tmp_path))
    said.append("".join(traceback.format_exception(refusal.value)))
    everything = "\n".join([*said, caplog.text])
    for shape in (KEY.hex(), str(int.from_bytes(KEY, "big")), repr(KEY), repr(KEY)[2:-1]):
        assert shape not in everything
    assert ADDRESS in everything, "the address may be shown"


def local_settings_as_is(tmp_path: Path) -> Settings:
    return replace(settings(), signer_key_files=(tmp_path / "signer.key",))


def test_a_key_signer_is_made_from_32_bytes_alone() -> None:
    with pytest.raises(SignerRefused) as refusal:
        KeySigner(KEY[:31])
    assert KEY[:31].hex() not in "".join(traceback.format_exception(refusal.value))
