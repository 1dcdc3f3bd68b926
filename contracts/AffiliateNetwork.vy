# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title Affiliate network
@license MIT
@notice Agreements between merchants and publishers, the conversions recorded under them, the commission each
        one earns, and their status up to the lock date. Nobody has to trust the box that sends the transactions:
        the commission is computed here, the sequence is assigned here, and after the lock nothing changes.
@dev    Amounts are integers in minor units of the agreement's currency, below 2**40. Times are block times.
        The layout of batches, with its reasons and bounds, is docs/decisions/0001-batch-layout.md.
        `chalicelib/domain/batch.py` is its other half.
"""


# ----------------------------------------------------------------------------------------------------- structs

struct Rule:
    action: uint8  # 0 = sale, 1 = lead
    group: uint8  # index into the agreement's `groups`
    fromAmount: uint64  # minor units, inclusive
    toAmount: uint64  # minor units, exclusive; 2**40 = no upper end
    fixedAmount: bool  # True: `value` is minor units; False: millionths of the amount
    value: uint64


struct Agreement:
    merchant: address
    publisher: address
    currency: String[3]  # ISO 4217: three of A-Z
    windowDays: uint16  # attribution window
    validationDays: uint16  # from the recording block to the due date
    lockDays: uint16  # from the recording block to the lock
    silenceApprovesAll: bool  # False: silence approves verified conversions only
    hosted: bool  # one box holds the publisher's key as well as the merchant's
    version: uint32
    groups: DynArray[String[32], 16]  # names of the commission groups, all different, "default" first
    rules: DynArray[Rule, 16]  # ascending by (action, group, fromAmount), no overlap
    nonce: uint256
    deadline: uint256  # last moment at which the agreement can be registered


# ------------------------------------------------------------------------------------------------------ events

event KeyAuthorised:
    merchant: indexed(address)
    key: indexed(address)
    expiry: uint64

event KeyRevoked:
    merchant: indexed(address)
    key: indexed(address)

event AgreementRegistered:
    agreementId: indexed(bytes32)
    merchant: indexed(address)
    publisher: indexed(address)
    terms: Agreement

event SignaturesWithdrawn:
    merchant: indexed(address)
    publisher: indexed(address)
    by: address
    nextNonce: uint256

event AgreementEnded:
    agreementId: indexed(bytes32)
    merchant: indexed(address)
    by: indexed(address)
    closesAt: uint64

# `first` is the sequence of the batch's first entry; entry i has sequence first + i. The first `silent` entries
# are approved by silence. `commissions` holds six 5-byte commissions a word, the first in the lowest bits.
event Recorded:
    merchant: indexed(address)
    batch: indexed(bytes32)
    first: uint64
    count: uint16
    silent: uint16
    commissions: DynArray[uint256, 51]

# `changes` is what `decide` was given: one event for the whole call.
event Decided:
    merchant: indexed(address)
    by: indexed(address)
    changes: Bytes[4096]

event Amended:
    merchant: indexed(address)
    batch: indexed(bytes32)
    sequence: uint64
    oldAmount: uint64
    newAmount: uint64
    oldCommission: uint64
    newCommission: uint64
    verified: bool
    reason: uint8

# The entries rejected in `changes` (a Decided event of the same call) were recorded anew in `batch`.
event Superseded:
    merchant: indexed(address)
    batch: indexed(bytes32)
    changes: Bytes[4096]

event ClicksAnchored:
    merchant: indexed(address)
    root: indexed(bytes32)
    first: uint64
    count: uint64
    periodStart: uint64
    periodEnd: uint64


# --------------------------------------------------------------------------------------------------- constants

MAX_ENTRIES: constant(uint256) = 304  # 48 decisions in the batch's own slot and 128 in each of two more
MAX_BODY: constant(uint256) = 6400  # 200 words: memory is paid for up to this bound by every batch
MAX_COMMITMENTS: constant(uint256) = 6080  # MAX_ENTRIES * COMMITMENT_SIZE
COMMITMENT_SIZE: constant(uint256) = 20
MAX_CHANGES: constant(uint256) = 4096
MAX_CHANGE_WORDS: constant(uint256) = 128
MAX_AMENDS: constant(uint256) = 64
MAX_RULES: constant(uint256) = 16
MAX_SIGNATURE: constant(uint256) = 2048  # bytes, for contract accounts

PER_WORD: constant(uint256) = 6  # amounts (and commissions) in a word
IN_HEAD: constant(uint256) = 5  # amounts in the word that heads a group
MASK_40: constant(uint256) = 2**40 - 1
MASK_128: constant(uint256) = 2**128 - 1
HEAD_AMOUNTS: constant(uint256) = 2**200 - 1
HEAD_BITS: constant(uint256) = 200  # IN_HEAD * 40
WORD_BITS: constant(uint256) = 240  # PER_WORD * 40
MILLION: constant(uint256) = 1_000_000
HALF_MILLION: constant(uint256) = 500_000

VERIFIED: constant(uint256) = 1  # head flag: from the merchant's server or a signed tag
SAME: constant(uint256) = 2  # head flag: the agreement of the group before
KEY_MASK: constant(uint256) = 127  # action << 6 | group

OPEN: constant(uint256) = 0
APPROVED: constant(uint256) = 1
SALE: constant(uint256) = 2  # never stored: it is what the lock makes of the others
REJECTED: constant(uint256) = 3
SUPERSEDED_REASON: constant(uint256) = 254  # of `supersede` alone
UNVERIFIED_REASON: constant(uint256) = 255  # of nobody: how readers name what the lock rejected by itself
EVERY_ENTRY: constant(uint256) = max_value(uint256) // 3  # 01 for each of 128 entries

# An agreement's state, one slot, lowest bits first:
# closesAt 40 | validationDays 10 | lockDays 10 | silenceApprovesAll 1 | ruleCount 5 | flat 1 | flatValue 40 |
# flatKey 7 | flatFixed 1 | conversions 36 | amount 52 | commission 52
VALIDATION_AT: constant(uint256) = 40
LOCK_AT: constant(uint256) = 50
DAYS_MASK: constant(uint256) = 1023
BOTH_DAYS_MASK: constant(uint256) = 2**20 - 1
SILENCE_AT: constant(uint256) = 60
RULES_AT: constant(uint256) = 61
FLAT_AT: constant(uint256) = 66
FLAT_VALUE_AT: constant(uint256) = 67
FLAT_KEY_AT: constant(uint256) = 107
FLAT_FIXED_AT: constant(uint256) = 114
CONVERSIONS_AT: constant(uint256) = 115
AMOUNT_AT: constant(uint256) = 151
COMMISSION_AT: constant(uint256) = 203
MASK_36: constant(uint256) = 2**36 - 1
MASK_52: constant(uint256) = 2**52 - 1
TERMS_MASK: constant(uint256) = 2**115 - 1

# A rule, 128 bits, two a slot, lowest bits first: value 40 | from 40 | last amount it holds for 40 | key 7 | fixed 1
FIXED_RULE: constant(uint256) = 2**127
ANY_AMOUNT: constant(uint256) = (2**40 - 1) * 2**40  # from 0 to the last amount there is, in place at bit 40

# Sets of characters: bit n is the character n.
UPPER: constant(uint256) = (2**26 - 1) * 2**65  # A-Z
LETTERS_AND_DIGITS: constant(uint256) = UPPER + (2**26 - 1) * 2**97 + (2**10 - 1) * 2**48
OF_A_NAME: constant(uint256) = LETTERS_AND_DIGITS + 2**45 + 2**46 + 2**95  # - . _ too

# A batch, one slot, lowest bits first: decisions of the first 48 entries 96 | an amendment: amount 40, entry + 1 9,
# verified 1 | first 40 | recordedAt 32 | count 9 | silent 9 | validationDays 10 | lockDays 10
OWN_DECISIONS: constant(uint256) = 48
FURTHER_DECISIONS: constant(uint256) = 128  # in each further slot
AMENDED_AT: constant(uint256) = 96
AMENDED_ENTRY_AT: constant(uint256) = 136
MASK_50: constant(uint256) = 2**50 - 1
FIRST_AT: constant(uint256) = 146
RECORDED_AT: constant(uint256) = 186
COUNT_AT: constant(uint256) = 218
SILENT_AT: constant(uint256) = 227
DUE_AT: constant(uint256) = 236
LOCKED_AT: constant(uint256) = 246
MASK_9: constant(uint256) = 511
MASK_32: constant(uint256) = 2**32 - 1

# An amendment: amount 40 | entry + 1 9 | verified 1. The first of a batch stands in the batch's slot, the others have
# one each: most batches never see a second, and a fresh slot is a third of what an amendment costs.
ENTRY_AT: constant(uint256) = 40
AMENDED_VERIFIED: constant(uint256) = 2**49

DAY: constant(uint256) = 86_400
GRACE_DAYS: constant(uint256) = 3  # after end + window: for orders reported late and for transactions under way
MAX_DAYS: constant(uint256) = 1000
MAX_SEQUENCE: constant(uint256) = 2**40 - 1
NO_UPPER_END: constant(uint256) = 2**40

ERC1271_MAGIC: constant(bytes4) = 0x1626ba7e
MAX_S: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168  # half the curve order
DOMAIN_TYPEHASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME: constant(String[17]) = "Affiliate Network"
VERSION: constant(String[1]) = "1"
NAME_HASH: constant(bytes32) = keccak256("Affiliate Network")
VERSION_HASH: constant(bytes32) = keccak256("1")
RULE_TYPEHASH: constant(bytes32) = keccak256(
    "Rule(uint8 action,uint8 group,uint64 fromAmount,uint64 toAmount,bool fixedAmount,uint64 value)"
)
AGREEMENT_TYPEHASH: constant(bytes32) = keccak256(
    "Agreement(address merchant,address publisher,string currency,uint16 windowDays,uint16 validationDays,uint16 lockDays,bool silenceApprovesAll,bool hosted,uint32 version,string[] groups,Rule[] rules,uint256 nonce,uint256 deadline)Rule(uint8 action,uint8 group,uint64 fromAmount,uint64 toAmount,bool fixedAmount,uint64 value)"
)


# ----------------------------------------------------------------------------------------------------- storage

# merchant -> operational key -> the block time from which it may no longer act
keyExpiry: public(HashMap[address, HashMap[address, uint64]])
# merchant -> conversions recorded so far (64 bits) | clicks anchored so far << 64
counters: HashMap[address, uint256]
# merchant -> agreement id -> state, see above; 0 = not registered
agreements: HashMap[address, HashMap[bytes32, uint256]]
# agreement id -> publisher 160 | windowDays 16 | hosted 1 | version 32
parties: HashMap[bytes32, uint256]
# agreement id -> pairs of rules; the first rule for any amount (a flat one) stands in the agreement's state instead
rules: HashMap[bytes32, HashMap[uint256, uint256]]
# merchant -> publisher -> next nonce (64 bits) | last version << 64
pairs: HashMap[address, HashMap[address, uint256]]
# merchant -> digest -> batch, see above; 0 = not recorded
batches: HashMap[address, HashMap[bytes32, uint256]]
# merchant -> digest -> i -> the decisions of entries 48 + 128 * i and following
decisions: HashMap[address, HashMap[bytes32, HashMap[uint256, uint256]]]
# keccak256(merchant, digest, entry) -> amendment, see above, unless it is the batch's first; 0 = as recorded.
# One hash of three is cheaper than three hashes.
amendments: HashMap[bytes32, uint256]
# merchant -> Merkle root -> first click 64 | count 64 | anchored at 64
anchors: HashMap[address, HashMap[bytes32, uint256]]


# ------------------------------------------------------------------------------------------ accounts and keys

@external
def authoriseKey(key: address, expiry: uint64):
    """
    @notice Lets `key` record, decide and anchor for the caller until `expiry`.
    @dev    Never lets it sign or end an agreement. Calling again moves the expiry.
    """
    if key == empty(address):
        raw_revert(abi_encode(key, method_id=method_id("BadKey(address)")))
    if convert(expiry, uint256) <= block.timestamp:
        raw_revert(abi_encode(expiry, method_id=method_id("ExpiryPassed(uint64)")))
    self.keyExpiry[msg.sender][key] = expiry
    log KeyAuthorised(merchant=msg.sender, key=key, expiry=expiry)


@external
def revokeKey(key: address):
    """
    @notice Ends what `key` may do for the caller, at once.
    """
    if self.keyExpiry[msg.sender][key] == 0:
        raw_revert(abi_encode(key, method_id=method_id("BadKey(address)")))
    self.keyExpiry[msg.sender][key] = 0
    log KeyRevoked(merchant=msg.sender, key=key)


@internal
@view
def _requireActor(merchant: address):
    # The merchant's own account can always act, whatever happened to its keys.
    if msg.sender != merchant:
        if convert(self.keyExpiry[merchant][msg.sender], uint256) <= block.timestamp:
            raw_revert(abi_encode(msg.sender, merchant, method_id=method_id("NotAuthorised(address,address)")))


# -------------------------------------------------------------------------------------------------- agreements

@external
def registerAgreement(
    terms: Agreement, merchantSignature: Bytes[MAX_SIGNATURE], publisherSignature: Bytes[MAX_SIGNATURE]
) -> bytes32:
    """
    @notice Puts an agreement on the network that both parties signed. Anyone may submit it.
    @dev    The id is the EIP-712 digest that was signed, so it names chain, contract and every term.
    @return The agreement's id.
    """
    if terms.merchant == empty(address) or terms.publisher == empty(address) or terms.merchant == terms.publisher:
        raw_revert(method_id("BadParties()"))
    if block.timestamp > terms.deadline:
        raw_revert(abi_encode(terms.deadline, method_id=method_id("DeadlinePassed(uint256)")))
    self._requireSaneTerms(terms)
    pair: uint256 = self.pairs[terms.merchant][terms.publisher]
    nonce: uint256 = pair & convert(max_value(uint64), uint256)
    version: uint256 = pair >> 64
    if terms.nonce != nonce:
        raw_revert(abi_encode(nonce, method_id=method_id("WrongNonce(uint256)")))
    if convert(terms.version, uint256) != version + 1:
        raw_revert(abi_encode(version + 1, method_id=method_id("WrongVersion(uint256)")))
    id: bytes32 = self._agreementId(terms)
    self._requireSigned(terms.merchant, id, merchantSignature)
    self._requireSigned(terms.publisher, id, publisherSignature)
    self.pairs[terms.merchant][terms.publisher] = (version + 1) << 64 | nonce + 1
    self.parties[id] = (
        convert(terms.publisher, uint256)
        | convert(terms.windowDays, uint256) << 160
        | convert(terms.hosted, uint256) << 176
        | convert(terms.version, uint256) << 177
    )
    self._storeTerms(id, terms)
    log AgreementRegistered(agreementId=id, merchant=terms.merchant, publisher=terms.publisher, terms=terms)
    return id


@external
def withdrawSignatures(merchant: address, publisher: address):
    """
    @notice Makes every agreement that this pair has signed and not yet registered worthless.
    @dev    For a party that changed its mind before the other one submitted.
    """
    if msg.sender != merchant and msg.sender != publisher:
        raw_revert(abi_encode(msg.sender, merchant, method_id=method_id("NotAuthorised(address,address)")))
    pair: uint256 = self.pairs[merchant][publisher] + 1
    self.pairs[merchant][publisher] = pair
    log SignaturesWithdrawn(
        merchant=merchant, publisher=publisher, by=msg.sender, nextNonce=pair & convert(max_value(uint64), uint256)
    )


@external
def endAgreement(merchant: address, id: bytes32):
    """
    @notice Ends an agreement for later clicks. Conversions of earlier clicks are taken until the attribution
            window and three days of grace have passed.
    """
    state: uint256 = self.agreements[merchant][id]
    if state == 0:
        raw_revert(abi_encode(id, empty(uint256), method_id=method_id("UnknownAgreement(bytes32,uint256)")))
    party: uint256 = self.parties[id]
    if msg.sender != merchant and convert(msg.sender, uint256) != party & (2**160 - 1):
        raw_revert(abi_encode(msg.sender, merchant, method_id=method_id("NotAuthorised(address,address)")))
    if state & MASK_40 != 0:
        raw_revert(abi_encode(id, state & MASK_40, method_id=method_id("AlreadyEnded(bytes32,uint256)")))
    closes: uint256 = block.timestamp + (((party >> 160) & 65535) + GRACE_DAYS) * DAY
    self.agreements[merchant][id] = state | closes
    log AgreementEnded(agreementId=id, merchant=merchant, by=msg.sender, closesAt=convert(closes, uint64))


@internal
@pure
def _requireSaneTerms(terms: Agreement):
    # What `Terms` refuses (chalicelib/domain/terms.py) is refused here too: every reader makes Terms of what is logged.
    currency: uint256 = convert(convert(terms.currency, Bytes[3]), uint256)
    if len(terms.currency) != 3 or not self._consistsOf(currency, 3, UPPER):
        raw_revert(method_id("BadCurrency()"))
    lock: uint256 = convert(terms.lockDays, uint256)
    if lock == 0 or lock > MAX_DAYS or terms.validationDays > terms.lockDays:
        raw_revert(method_id("BadDays()"))
    if convert(terms.windowDays, uint256) > MAX_DAYS:
        raw_revert(method_id("BadDays()"))
    if len(terms.rules) == 0 or len(terms.groups) == 0:
        raw_revert(method_id("NoRules()"))
    self._requireSaneGroups(terms.groups)
    lastKey: uint256 = 0
    lastTo: uint256 = 0
    i: uint256 = 0
    for rule: Rule in terms.rules:
        key: uint256 = convert(rule.action, uint256) << 6 | convert(rule.group, uint256)
        fromAmount: uint256 = convert(rule.fromAmount, uint256)
        toAmount: uint256 = convert(rule.toAmount, uint256)
        limit: uint256 = MILLION
        if rule.fixedAmount:
            limit = MASK_40
        if (
            rule.action > 1
            or convert(rule.group, uint256) >= len(terms.groups)
            or fromAmount >= toAmount
            or toAmount > NO_UPPER_END
            or convert(rule.value, uint256) > limit
        ):
            raw_revert(abi_encode(i, method_id=method_id("BadRule(uint256)")))
        if key < lastKey or (key == lastKey and fromAmount < lastTo):
            raw_revert(abi_encode(i, method_id=method_id("RulesOverlap(uint256)")))
        lastKey = key
        lastTo = toAmount
        i += 1


@internal
@pure
def _requireSaneGroups(groups: DynArray[String[32], 16]):
    # Readers know a group by its name: with one name twice two rules could overlap unseen.
    seen: DynArray[uint256, 16] = []
    for group: String[32] in groups:
        # No character is zero, so the number alone says which name it is.
        name: uint256 = convert(convert(group, Bytes[32]), uint256)
        size: uint256 = len(group)
        if (
            size == 0
            or (len(seen) == 0) != (group == "default")
            or not self._consistsOf(name, size, OF_A_NAME)
            or not self._consistsOf(name >> 8 * (size - 1), 1, LETTERS_AND_DIGITS)
            or name in seen
        ):
            raw_revert(abi_encode(len(seen), method_id=method_id("BadGroup(uint256)")))
        seen.append(name)


@internal
@pure
def _consistsOf(text: uint256, size: uint256, characters: uint256) -> bool:
    # `text` as a number: its last character stands in the lowest bits.
    rest: uint256 = text
    for _character: uint256 in range(size, bound=32):
        if (characters >> (rest & 255)) & 1 == 0:
            return False
        rest = rest >> 8
    return True


@internal
def _storeTerms(id: bytes32, terms: Agreement):
    state: uint256 = (
        convert(terms.validationDays, uint256) << VALIDATION_AT
        | convert(terms.lockDays, uint256) << LOCK_AT
        | convert(terms.silenceApprovesAll, uint256) << SILENCE_AT
        | len(terms.rules) << RULES_AT
    )
    half: uint256 = 0
    slot: uint256 = 0
    pair: uint256 = 0
    flat: bool = False
    for rule: Rule in terms.rules:
        key: uint256 = convert(rule.action, uint256) << 6 | convert(rule.group, uint256)
        value: uint256 = convert(rule.value, uint256)
        fixed: uint256 = convert(rule.fixedAmount, uint256)
        if not flat and rule.fromAmount == 0 and convert(rule.toAmount, uint256) == NO_UPPER_END:
            flat = True
            state |= (
                1 << FLAT_AT | value << FLAT_VALUE_AT | key << FLAT_KEY_AT | fixed << FLAT_FIXED_AT
            )
        else:
            packed: uint256 = (
                value
                | convert(rule.fromAmount, uint256) << 40
                | (convert(rule.toAmount, uint256) - 1) << 80
                | key << 120
                | fixed << 127
            )
            pair |= packed << half
            if half == 128:
                self.rules[id][slot] = pair
                slot += 1
                pair = 0
            half ^= 128
    if pair != 0:
        self.rules[id][slot] = pair
    self.agreements[terms.merchant][id] = state


@internal
@view
def _domainSeparator() -> bytes32:
    # Computed at each call: a chain that splits in two must not share signatures.
    return keccak256(abi_encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, chain.id, self))


@internal
@view
def _agreementId(terms: Agreement) -> bytes32:
    groups: DynArray[bytes32, 16] = []
    for name: String[32] in terms.groups:
        groups.append(keccak256(name))
    hashes: DynArray[bytes32, 16] = []
    for rule: Rule in terms.rules:
        hashes.append(keccak256(abi_encode(RULE_TYPEHASH, rule)))
    # EIP-712 hashes an array's items alone: without the offset and length that abi_encode puts in front.
    groupsHash: bytes32 = keccak256(slice(abi_encode(groups), 64, 32 * len(groups)))
    rulesHash: bytes32 = keccak256(slice(abi_encode(hashes), 64, 32 * len(hashes)))
    structHash: bytes32 = keccak256(
        abi_encode(
            AGREEMENT_TYPEHASH,
            terms.merchant,
            terms.publisher,
            keccak256(terms.currency),
            terms.windowDays,
            terms.validationDays,
            terms.lockDays,
            terms.silenceApprovesAll,
            terms.hosted,
            terms.version,
            groupsHash,
            rulesHash,
            terms.nonce,
            terms.deadline,
        )
    )
    return keccak256(concat(b"\x19\x01", self._domainSeparator(), structHash))


@internal
@view
def _requireSigned(account: address, digest: bytes32, signature: Bytes[MAX_SIGNATURE]):
    # ECDSA first, also for accounts with code: under EIP-7702 an account may have both.
    if len(signature) == 65:
        r: uint256 = extract32(signature, 0, output_type=uint256)
        s: uint256 = extract32(signature, 32, output_type=uint256)
        v: uint256 = convert(slice(signature, 64, 1), uint256)
        signer: address = ecrecover(digest, v, r, s)
        if signer == account:
            # The mirror image of a signature is one too; only one of the two is taken.
            if s > MAX_S:
                raw_revert(abi_encode(account, method_id=method_id("HighS(address)")))
            return
    if account.is_contract:
        ok: bool = False
        answer: Bytes[32] = b""
        ok, answer = raw_call(
            account,
            abi_encode(digest, signature, method_id=0x1626ba7e),
            max_outsize=32,
            is_static_call=True,
            revert_on_failure=False,
        )
        if ok and len(answer) == 32:
            if convert(answer, bytes32) == convert(ERC1271_MAGIC, bytes32):
                return
    raw_revert(abi_encode(account, method_id=method_id("BadSignature(address)")))


# --------------------------------------------------------------------------------------------------- recording

@external
def record(merchant: address, body: Bytes[MAX_BODY], commitments: Bytes[MAX_COMMITMENTS]) -> uint256:
    """
    @notice Records a batch of conversions. All of it or, with an error that names the entry, nothing.
    @param body Groups, each of 32-byte words: a head (flags 8 | action << 6 and group 8 | count 16 | zero 24 | five
           amounts 200), then the agreement's id (left out with the SAME flag), then six amounts a word.
           The first amount stands in the lowest 40 bits. What a group does not use of its words is zero, and
           neighbours differ in agreement, action, group or verified bit: the same entries have one form alone.
    @param commitments 20 bytes for each entry, in the entries' order. Never read here, only kept by their hash.
    @return The sequence of the first entry.
    """
    self._requireActor(merchant)
    # In a variable first: a call among the arguments would copy them all twice.
    digest: bytes32 = self._digest(keccak256(body), keccak256(commitments))
    return self._record(merchant, body, digest, len(commitments))


@external
def supersede(
    merchant: address, changes: Bytes[MAX_CHANGES], body: Bytes[MAX_BODY], commitments: Bytes[MAX_COMMITMENTS]
) -> uint256:
    """
    @notice Rejects entries and records others in their place, in one step: when a verified report names another
            publisher for the same conversion.
    @param changes As for `decide`; each must reject with reason 254 (superseded).
    @return The sequence of the first new entry.
    """
    self._requireActor(merchant)
    self._decide(merchant, changes, True)
    digest: bytes32 = self._digest(keccak256(body), keccak256(commitments))
    first: uint256 = self._record(merchant, body, digest, len(commitments))
    log Superseded(merchant=merchant, batch=digest, changes=changes)
    return first


@internal
@pure
def _digest(bodyHash: bytes32, commitmentsHash: bytes32) -> bytes32:
    # Two hashes, so that an amendment shows the body alone and 32 bytes in place of all commitments.
    return keccak256(concat(bodyHash, commitmentsHash))


@internal
def _record(merchant: address, body: Bytes[MAX_BODY], digest: bytes32, commitmentsLength: uint256) -> uint256:
    if self.batches[merchant][digest] != 0:
        raw_revert(abi_encode(digest, method_id=method_id("AlreadyRecorded(bytes32)")))
    end: uint256 = len(body)
    if end == 0 or end & 31 != 0:
        raw_revert(abi_encode(empty(uint256), method_id=method_id("BadBody(uint256)")))

    entries: uint256 = 0
    silent: uint256 = 0
    days: uint256 = 0
    position: uint256 = 0
    commissions: DynArray[uint256, 51] = []
    out: uint256 = 0
    outShift: uint256 = 0

    kind: uint256 = 0  # verified 1 | key 8 of the group at hand
    id: bytes32 = empty(bytes32)
    state: uint256 = 0
    total: uint256 = 0
    conversions: uint256 = 0
    earned: uint256 = 0
    table: uint256[MAX_RULES] = empty(uint256[MAX_RULES])
    ruleCount: uint256 = 0

    for _group: uint256 in range(MAX_ENTRIES):
        if position == end:
            break
        head: uint256 = extract32(body, position, output_type=uint256)
        position = unsafe_add(position, 32)
        flags: uint256 = head >> 248
        key: uint256 = (head >> 240) & 255
        count: uint256 = (head >> 224) & 65535
        if flags > 3 or key > KEY_MASK or count == 0 or (head >> 200) & 16777215 != 0:
            raw_revert(abi_encode(entries, method_id=method_id("BadHead(uint256)")))
        if entries + count > MAX_ENTRIES:
            raw_revert(abi_encode(entries + count, method_id=method_id("TooManyEntries(uint256)")))

        # Entries have one form: an agreement is named where it changes, a head stands where it, action, group or the
        # verified bit does.
        before: uint256 = kind
        kind = (head >> 240) & MASK_9
        if flags & SAME != 0:
            if entries == 0 or kind == before:
                raw_revert(abi_encode(entries, method_id=method_id("BadHead(uint256)")))
        else:
            if position == end:
                raw_revert(abi_encode(entries, method_id=method_id("BadBody(uint256)")))
            newId: bytes32 = extract32(body, position)
            position = unsafe_add(position, 32)
            if entries != 0:
                if newId == id:
                    raw_revert(abi_encode(entries, method_id=method_id("BadHead(uint256)")))
                self.agreements[merchant][id] = self._withTotals(id, state, conversions, total, earned)
            id = newId
            conversions = 0
            total = 0
            earned = 0
            state = self.agreements[merchant][id]
            if state == 0:
                raw_revert(abi_encode(id, entries, method_id=method_id("UnknownAgreement(bytes32,uint256)")))
            if state & MASK_40 != 0 and block.timestamp >= state & MASK_40:
                raw_revert(abi_encode(id, entries, method_id=method_id("AgreementClosed(bytes32,uint256)")))
            # One due date and one lock for the batch: agreements with other days go into another one.
            if entries == 0:
                days = (state >> VALIDATION_AT) & BOTH_DAYS_MASK
            elif days != (state >> VALIDATION_AT) & BOTH_DAYS_MASK:
                raw_revert(abi_encode(id, entries, method_id=method_id("DaysDiffer(bytes32,uint256)")))
            ruleCount = (state >> RULES_AT) & 31
            table = self._rulesOf(id, state)

        # What silence approves stands first, so that one number in the batch's slot says which entries it does.
        if flags & VERIFIED != 0 or (state >> SILENCE_AT) & 1 != 0:
            if silent != entries:
                raw_revert(abi_encode(entries, method_id=method_id("SilentFirst(uint256)")))
            silent = unsafe_add(silent, count)

        # The rules of this action and group stand side by side in the table.
        start: uint256 = 0
        stop: uint256 = 0
        for i: uint256 in range(ruleCount, bound=MAX_RULES):
            if (table[i] >> 120) & KEY_MASK == key:
                if stop == 0:
                    start = i
                stop = unsafe_add(i, 1)

        # The bracket in use: [low, low + span], what it pays. Amounts of a group come sorted when the box packed it,
        # so it is looked for once a bracket, not once an amount. At first it is one that no amount is in.
        low: uint256 = NO_UPPER_END
        span: uint256 = 0
        rate: uint256 = 0
        fixed: uint256 = 0
        word: uint256 = head & HEAD_AMOUNTS
        offset: uint256 = 0
        full: uint256 = HEAD_BITS
        for i: uint256 in range(count, bound=MAX_ENTRIES):
            if offset == full:
                if word >> full != 0 or position == end:
                    raw_revert(abi_encode(unsafe_add(entries, i), method_id=method_id("BadBody(uint256)")))
                word = extract32(body, position, output_type=uint256)
                position = unsafe_add(position, 32)
                offset = 0
                full = WORD_BITS
            amount: uint256 = (word >> offset) & MASK_40
            offset = unsafe_add(offset, 40)
            # Below `low` the difference wraps around and is larger than any span.
            if unsafe_sub(amount, low) > span:
                low = amount
                span = 0
                rate = 0
                fixed = 0
                for k: uint256 in range(start, stop, bound=MAX_RULES):
                    rule: uint256 = table[k]
                    first: uint256 = (rule >> 40) & MASK_40
                    if amount >= first and amount <= (rule >> 80) & MASK_40:
                        low = first
                        span = unsafe_sub((rule >> 80) & MASK_40, first)
                        if rule >= FIXED_RULE:
                            fixed = rule & MASK_40
                        else:
                            rate = rule & MASK_40
                        break
            # One of the two is zero, and a rate of zero rounds to zero: cheaper than asking which.
            pay: uint256 = unsafe_add(
                fixed, unsafe_div(unsafe_add(unsafe_mul(amount, rate), HALF_MILLION), MILLION)
            )
            total = unsafe_add(total, amount)
            earned = unsafe_add(earned, pay)
            out = out | (pay << outShift)
            outShift = unsafe_add(outShift, 40)
            if outShift == WORD_BITS:
                commissions.append(out)
                out = 0
                outShift = 0
        if word >> offset != 0:
            raw_revert(abi_encode(unsafe_sub(unsafe_add(entries, count), 1), method_id=method_id("BadTail(uint256)")))
        conversions = unsafe_add(conversions, count)
        entries = unsafe_add(entries, count)

    if position != end:
        raw_revert(abi_encode(entries, method_id=method_id("TooManyEntries(uint256)")))
    if commitmentsLength != entries * COMMITMENT_SIZE:
        raw_revert(abi_encode(entries, commitmentsLength, method_id=method_id("BadCommitments(uint256,uint256)")))
    if outShift != 0:
        commissions.append(out)
    self.agreements[merchant][id] = self._withTotals(id, state, conversions, total, earned)

    counter: uint256 = self.counters[merchant]
    first: uint256 = (counter & convert(max_value(uint64), uint256)) + 1
    if first + entries > MAX_SEQUENCE:
        raw_revert(method_id("SequenceExhausted()"))
    if block.timestamp > MASK_32:  # in 2106: past it, the time would run into the count beside it
        raw_revert(method_id("TimeExhausted()"))
    self.counters[merchant] = counter + entries
    self.batches[merchant][digest] = (
        first << FIRST_AT
        | block.timestamp << RECORDED_AT
        | entries << COUNT_AT
        | silent << SILENT_AT
        | (days & DAYS_MASK) << DUE_AT
        | (days >> 10) << LOCKED_AT
    )
    log Recorded(
        merchant=merchant,
        batch=digest,
        first=convert(first, uint64),
        count=convert(entries, uint16),
        silent=convert(silent, uint16),
        commissions=commissions,
    )
    return first


@internal
@view
def _rulesOf(id: bytes32, state: uint256) -> uint256[MAX_RULES]:
    table: uint256[MAX_RULES] = empty(uint256[MAX_RULES])
    at: uint256 = 0
    if (state >> FLAT_AT) & 1 != 0:
        table[0] = (
            (state >> FLAT_VALUE_AT) & MASK_40
            | ANY_AMOUNT << 40
            | ((state >> FLAT_KEY_AT) & KEY_MASK) << 120
            | ((state >> FLAT_FIXED_AT) & 1) << 127
        )
        at = 1
    count: uint256 = (state >> RULES_AT) & 31
    for slot: uint256 in range(8):
        if at >= count:
            break
        pair: uint256 = self.rules[id][slot]
        table[at] = pair & MASK_128
        if at + 1 < count:
            table[at + 1] = pair >> 128
        at += 2
    return table


@internal
@pure
def _commission(table: uint256[MAX_RULES], count: uint256, key: uint256, amount: uint256) -> uint256:
    # The same rule as the loop in `_record`, for one amount.
    for i: uint256 in range(count, bound=MAX_RULES):
        rule: uint256 = table[i]
        if (
            (rule >> 120) & KEY_MASK == key
            and amount >= (rule >> 40) & MASK_40
            and amount <= (rule >> 80) & MASK_40
        ):
            if rule >= FIXED_RULE:
                return rule & MASK_40
            return (amount * (rule & MASK_40) + HALF_MILLION) // MILLION
    return 0


@internal
@pure
def _withTotals(
    id: bytes32, state: uint256, conversions: uint256, amount: uint256, commission: uint256
) -> uint256:
    sumConversions: uint256 = ((state >> CONVERSIONS_AT) & MASK_36) + conversions
    sumAmount: uint256 = ((state >> AMOUNT_AT) & MASK_52) + amount
    sumCommission: uint256 = (state >> COMMISSION_AT) + commission
    if sumConversions > MASK_36 or sumAmount > MASK_52 or sumCommission > MASK_52:
        raw_revert(abi_encode(id, method_id=method_id("TotalsExhausted(bytes32)")))
    return (
        state & TERMS_MASK
        | sumConversions << CONVERSIONS_AT
        | sumAmount << AMOUNT_AT
        | sumCommission << COMMISSION_AT
    )


# -------------------------------------------------------------------------------------------------- validation

@external
def decide(merchant: address, changes: Bytes[MAX_CHANGES]):
    """
    @notice Approves, rejects or re-opens conversions before their lock, one or many, in one form.
    @param changes For each batch: its digest, then words of five runs each. A run is 48 bits, the first in the
           lowest: first entry 16 | entries 16 | status 8 | reason 8 (highest). A run of no entries ends the word.
           Bit 240 of a word says that another word of the same batch follows; the bits above are zero.
           A rejection has a reason from 1 to 253, anything else has none.
    """
    self._requireActor(merchant)
    self._decide(merchant, changes, False)


@internal
def _decide(merchant: address, changes: Bytes[MAX_CHANGES], superseding: bool):
    end: uint256 = len(changes)
    if end == 0 or end & 31 != 0:
        raw_revert(abi_encode(empty(uint256), method_id=method_id("BadChanges(uint256)")))
    position: uint256 = 0
    for _batch: uint256 in range(MAX_CHANGE_WORDS):
        if position == end:
            break
        digest: bytes32 = extract32(changes, position)
        position += 32
        batch: uint256 = self._unlocked(merchant, digest)
        before: uint256 = batch
        more: bool = True
        for _word: uint256 in range(MAX_CHANGE_WORDS):
            if not more:
                break
            if position == end:
                raw_revert(abi_encode(position // 32, method_id=method_id("BadChanges(uint256)")))
            word: uint256 = extract32(changes, position, output_type=uint256)
            position += 32
            more = (word >> 240) == 1
            runs: uint256 = word & (2**240 - 1)
            if (word >> 240) > 1 or runs == 0:
                raw_revert(abi_encode(position // 32 - 1, method_id=method_id("BadChanges(uint256)")))
            for _run: uint256 in range(5):
                if runs == 0:
                    break
                start: uint256 = runs & 65535
                count: uint256 = (runs >> 16) & 65535
                status: uint256 = (runs >> 32) & 255
                reason: uint256 = (runs >> 40) & 255
                runs = runs >> 48
                if count == 0 or start + count > (batch >> COUNT_AT) & MASK_9:
                    raw_revert(abi_encode(digest, start, method_id=method_id("NotRecorded(bytes32,uint256)")))
                if (
                    (status != OPEN and status != APPROVED and status != REJECTED)
                    or (status == REJECTED) != (reason != 0)
                    or superseding != (reason == SUPERSEDED_REASON)
                    or reason == UNVERIFIED_REASON
                ):
                    raw_revert(
                        abi_encode(digest, start, status, method_id=method_id("BadDecision(bytes32,uint256,uint256)"))
                    )
                batch = self._withDecision(merchant, digest, batch, start, start + count, status)
        if batch != before:
            self.batches[merchant][digest] = batch
    log Decided(merchant=merchant, by=msg.sender, changes=changes)


@internal
@view
def _unlocked(merchant: address, digest: bytes32) -> uint256:
    batch: uint256 = self.batches[merchant][digest]
    if batch == 0:
        raw_revert(abi_encode(digest, empty(uint256), method_id=method_id("NotRecorded(bytes32,uint256)")))
    lock: uint256 = ((batch >> RECORDED_AT) & MASK_32) + (batch >> LOCKED_AT) * DAY
    if block.timestamp >= lock:
        raw_revert(abi_encode(digest, lock, method_id=method_id("Locked(bytes32,uint256)")))
    return batch


@internal
def _withDecision(
    merchant: address, digest: bytes32, batch: uint256, start: uint256, stop: uint256, status: uint256
) -> uint256:
    # 48 decisions stand in the batch's slot itself, so a small batch never needs another one.
    result: uint256 = batch
    pattern: uint256 = unsafe_mul(status, EVERY_ENTRY)
    if start < OWN_DECISIONS:
        mask: uint256 = self._pairs(start, min(stop, OWN_DECISIONS))
        result = batch & ~mask | pattern & mask
        if stop <= OWN_DECISIONS:
            return result
    low: uint256 = OWN_DECISIONS
    for i: uint256 in range(2):
        high: uint256 = unsafe_add(low, FURTHER_DECISIONS)
        if start < high and stop > low:
            mask: uint256 = self._pairs(unsafe_sub(max(start, low), low), unsafe_sub(min(stop, high), low))
            word: uint256 = self.decisions[merchant][digest][i]
            self.decisions[merchant][digest][i] = word & ~mask | pattern & mask
        low = high
    return result


@internal
@pure
def _pairs(start: uint256, stop: uint256) -> uint256:
    # Two bits an entry, from `start` up to and without `stop`.
    # A whole word of 128 shifts the one out at the top, and zero less one is all ones: that is what is wanted.
    one: uint256 = 1
    return unsafe_sub(one << unsafe_mul(2, unsafe_sub(stop, start)), 1) << unsafe_mul(2, start)


@external
def amend(
    merchant: address,
    body: Bytes[MAX_BODY],
    commitmentsHash: bytes32,
    changes: DynArray[uint256, MAX_AMENDS],
):
    """
    @notice Changes the amount of conversions before their lock (a partial refund, or what a verified report
            says), and computes their commission again.
    @param body The body of the batch as it was recorded: the proof of what the amounts were.
    @param commitmentsHash keccak256 of the batch's commitments.
    @param changes A word each: amount 40 | entry 16 | verified 8 (1: from now on the conversion is verified) |
           reason 8 (0 to 253), lowest bits first.
    """
    self._requireActor(merchant)
    digest: bytes32 = self._digest(keccak256(body), commitmentsHash)
    batch: uint256 = self._unlocked(merchant, digest)
    for change: uint256 in changes:
        entry: uint256 = (change >> 40) & 65535
        if change >> 64 >= SUPERSEDED_REASON or (change >> 56) & 255 > 1:  # the reason is the highest of the fields
            raw_revert(abi_encode(entry, method_id=method_id("BadAmendment(uint256)")))
        if entry >= (batch >> COUNT_AT) & MASK_9:
            raw_revert(abi_encode(digest, entry, method_id=method_id("NotRecorded(bytes32,uint256)")))

        # Walk to the entry's group. The body was accepted when it was recorded, so the walk ends inside it.
        position: uint256 = 0
        at: uint256 = entry
        id: bytes32 = empty(bytes32)
        head: uint256 = 0
        for _group: uint256 in range(MAX_ENTRIES):
            head = extract32(body, position, output_type=uint256)
            position += 32
            if head >> 248 & SAME == 0:
                id = extract32(body, position)
                position += 32
            count: uint256 = (head >> 224) & 65535
            if at < count:
                break
            at -= count
            if count > IN_HEAD:
                position += (count - IN_HEAD + PER_WORD - 1) // PER_WORD * 32
        key: uint256 = (head >> 240) & 255
        verified: bool = (head >> 248) & VERIFIED != 0
        oldAmount: uint256 = 0
        if at < IN_HEAD:
            oldAmount = (head >> 40 * at) & MASK_40
        else:
            at -= IN_HEAD
            oldAmount = extract32(body, position + at // PER_WORD * 32, output_type=uint256)
            oldAmount = (oldAmount >> 40 * (at % PER_WORD)) & MASK_40

        amendment: uint256 = self._amendment(merchant, digest, batch, entry)
        if amendment != 0:
            oldAmount = amendment & MASK_40
            verified = verified or amendment & AMENDED_VERIFIED != 0
        verified = verified or (change >> 56) & 255 == 1
        newAmount: uint256 = change & MASK_40

        state: uint256 = self.agreements[merchant][id]
        ruleCount: uint256 = (state >> RULES_AT) & 31
        table: uint256[MAX_RULES] = self._rulesOf(id, state)
        oldCommission: uint256 = self._commission(table, ruleCount, key, oldAmount)
        newCommission: uint256 = self._commission(table, ruleCount, key, newAmount)
        # The old figures are part of the totals, so taking them away cannot fall below zero.
        state = unsafe_sub(unsafe_sub(state, oldAmount << AMOUNT_AT), oldCommission << COMMISSION_AT)
        self.agreements[merchant][id] = self._withTotals(id, state, 0, newAmount, newCommission)
        amendment = newAmount | (entry + 1) << ENTRY_AT
        if verified:
            amendment |= AMENDED_VERIFIED
        own: uint256 = (batch >> AMENDED_ENTRY_AT) & MASK_9
        if own == 0 or own == entry + 1:
            batch = batch & ~(MASK_50 << AMENDED_AT) | amendment << AMENDED_AT
            self.batches[merchant][digest] = batch
        else:
            self.amendments[keccak256(abi_encode(merchant, digest, entry))] = amendment
        log Amended(
            merchant=merchant,
            batch=digest,
            sequence=convert(((batch >> FIRST_AT) & MASK_40) + entry, uint64),
            oldAmount=convert(oldAmount, uint64),
            newAmount=convert(newAmount, uint64),
            oldCommission=convert(oldCommission, uint64),
            newCommission=convert(newCommission, uint64),
            verified=verified,
            reason=convert(change >> 64, uint8),
        )



@internal
@view
def _amendment(merchant: address, digest: bytes32, batch: uint256, entry: uint256) -> uint256:
    own: uint256 = (batch >> AMENDED_ENTRY_AT) & MASK_9
    if own == entry + 1:
        return (batch >> AMENDED_AT) & MASK_50
    if own == 0:
        return 0
    return self.amendments[keccak256(abi_encode(merchant, digest, entry))]


# ------------------------------------------------------------------------------------------------------ clicks

@external
def anchorClicks(merchant: address, root: bytes32, count: uint64, periodStart: uint64, periodEnd: uint64) -> uint64:
    """
    @notice Fixes the clicks of a period by the root of their Merkle tree (SHA-256, `chalicelib/domain/merkle.py`).
    @return The sequence of the first click; the clicks of all periods are numbered without a gap.
    """
    self._requireActor(merchant)
    if count == 0 or convert(count, uint256) > MAX_SEQUENCE or periodEnd < periodStart:
        raw_revert(method_id("BadAnchor()"))
    if self.anchors[merchant][root] != 0:
        raw_revert(abi_encode(root, method_id=method_id("AlreadyAnchored(bytes32)")))
    counter: uint256 = self.counters[merchant]
    first: uint256 = (counter >> 64) + 1
    if first + convert(count, uint256) > MAX_SEQUENCE:
        raw_revert(method_id("SequenceExhausted()"))
    self.counters[merchant] = counter + (convert(count, uint256) << 64)
    self.anchors[merchant][root] = first | convert(count, uint256) << 64 | block.timestamp << 128
    log ClicksAnchored(
        merchant=merchant,
        root=root,
        first=convert(first, uint64),
        count=count,
        periodStart=periodStart,
        periodEnd=periodEnd,
    )
    return convert(first, uint64)


# ------------------------------------------------------------------------------------------------------- views

@external
@view
def statusOf(merchant: address, batch: bytes32, sequence: uint256) -> (uint256, uint256, uint256, uint256):
    """
    @notice The status of a conversion at the time of the block this is called in.
    @return status (0 open, 1 approved, 2 sale, 3 rejected), last explicit decision, due date, lock.
    """
    word: uint256 = self.batches[merchant][batch]
    first: uint256 = (word >> FIRST_AT) & MASK_40
    if word == 0 or sequence < first or sequence >= first + ((word >> COUNT_AT) & MASK_9):
        raw_revert(abi_encode(batch, sequence, method_id=method_id("NotRecorded(bytes32,uint256)")))
    entry: uint256 = sequence - first
    decision: uint256 = 0
    if entry < OWN_DECISIONS:
        decision = (word >> 2 * entry) & 3
    else:
        at: uint256 = entry - OWN_DECISIONS
        further: uint256 = self.decisions[merchant][batch][at // FURTHER_DECISIONS]
        decision = (further >> 2 * (at % FURTHER_DECISIONS)) & 3
    silent: bool = (
        entry < (word >> SILENT_AT) & MASK_9
        or self._amendment(merchant, batch, word, entry) & AMENDED_VERIFIED != 0
    )
    recorded: uint256 = (word >> RECORDED_AT) & MASK_32
    due: uint256 = recorded + ((word >> DUE_AT) & DAYS_MASK) * DAY
    lock: uint256 = recorded + (word >> LOCKED_AT) * DAY
    status: uint256 = decision
    if decision == OPEN and silent and block.timestamp >= due:
        status = APPROVED
    if block.timestamp >= lock:
        if status == APPROVED:
            status = SALE
        else:
            status = REJECTED
    return status, decision, due, lock


@external
@view
def commissionOf(
    merchant: address, id: bytes32, action: uint256, group: uint256, amount: uint256
) -> uint256:
    """
    @notice What an agreement pays for an amount, both in minor units.
    """
    state: uint256 = self.agreements[merchant][id]
    if state == 0:
        raw_revert(abi_encode(id, empty(uint256), method_id=method_id("UnknownAgreement(bytes32,uint256)")))
    if action > 1 or group > 63 or amount > MASK_40:
        raw_revert(method_id("OutOfRange()"))
    return self._commission(self._rulesOf(id, state), (state >> RULES_AT) & 31, action << 6 | group, amount)


@external
@view
def totalsOf(merchant: address, id: bytes32) -> (uint256, uint256, uint256):
    """
    @notice Conversions, amount and commission recorded under an agreement, rejected ones included, as amended.
    """
    state: uint256 = self.agreements[merchant][id]
    return (state >> CONVERSIONS_AT) & MASK_36, (state >> AMOUNT_AT) & MASK_52, state >> COMMISSION_AT


@external
@view
def agreementOf(merchant: address, id: bytes32) -> (bool, uint256, uint256, uint256, bool, uint256):
    """
    @return registered, closesAt (0 = not ended), validationDays, lockDays, silenceApprovesAll, number of rules.
    """
    state: uint256 = self.agreements[merchant][id]
    return (
        state != 0,
        state & MASK_40,
        (state >> VALIDATION_AT) & DAYS_MASK,
        (state >> LOCK_AT) & DAYS_MASK,
        (state >> SILENCE_AT) & 1 != 0,
        (state >> RULES_AT) & 31,
    )


@external
@view
def partiesOf(id: bytes32) -> (address, uint256, bool, uint256):
    """
    @return publisher, windowDays, hosted, version.
    """
    party: uint256 = self.parties[id]
    return (
        convert(party & (2**160 - 1), address),
        (party >> 160) & 65535,
        (party >> 176) & 1 != 0,
        party >> 177,
    )


@external
@view
def nextAgreement(merchant: address, publisher: address) -> (uint256, uint256):
    """
    @notice The nonce and the version that the next agreement of a pair must have.
    """
    pair: uint256 = self.pairs[merchant][publisher]
    return pair & convert(max_value(uint64), uint256), (pair >> 64) + 1


@external
@view
def countsOf(merchant: address) -> (uint256, uint256):
    """
    @notice Conversions recorded and clicks anchored so far: the sequences end there.
    """
    counter: uint256 = self.counters[merchant]
    return counter & convert(max_value(uint64), uint256), counter >> 64


@external
@view
def batchOf(merchant: address, batch: bytes32) -> (uint256, uint256, uint256, uint256, uint256, uint256):
    """
    @return first sequence (0 = not recorded), entries, recorded at, due date, lock, entries silence approves.
    """
    word: uint256 = self.batches[merchant][batch]
    recorded: uint256 = (word >> RECORDED_AT) & MASK_32
    return (
        (word >> FIRST_AT) & MASK_40,
        (word >> COUNT_AT) & MASK_9,
        recorded,
        recorded + ((word >> DUE_AT) & DAYS_MASK) * DAY,
        recorded + (word >> LOCKED_AT) * DAY,
        (word >> SILENT_AT) & MASK_9,
    )


@external
@view
def amendmentOf(merchant: address, batch: bytes32, entry: uint256) -> (bool, uint256, bool):
    """
    @return amended, the amount it has now (when amended), verified by an amendment.
    """
    word: uint256 = self._amendment(merchant, batch, self.batches[merchant][batch], entry)
    return word != 0, word & MASK_40, word & AMENDED_VERIFIED != 0


@external
@view
def anchorOf(merchant: address, root: bytes32) -> (uint256, uint256, uint256):
    """
    @return first click (0 = not anchored), clicks, anchored at.
    """
    word: uint256 = self.anchors[merchant][root]
    return word & convert(max_value(uint64), uint256), (word >> 64) & convert(max_value(uint64), uint256), word >> 128


@external
@view
def agreementId(terms: Agreement) -> bytes32:
    """
    @notice The id that terms have on this chain and contract: what both parties sign.
    """
    return self._agreementId(terms)


@external
@view
def eip712Domain() -> (bytes1, String[17], String[1], uint256, address, bytes32, DynArray[uint256, 1]):
    """
    @notice ERC-5267: the signing domain.
    """
    extensions: DynArray[uint256, 1] = []
    return 0x0f, NAME, VERSION, chain.id, self, empty(bytes32), extensions
