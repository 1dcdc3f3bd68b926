"""The network contract as a cheat would change it, one way of cheating at a time, chosen by `cheat(n)`.

Built from the published source by replacing the line that guards; a line that is no longer there fails the build, so the cheats
stay cheats when the contract changes.
"""

from ops.compile_contract import SOURCE, bytecode

DELETE, REORDER, BACK_DATE, UNDERPAY, LATE, AMEND_LESS, ANY_DECISION, FEW_COMMISSIONS, ANY_TERMS, MUTE = range(1, 11)

_CHEATS = [
    (
        "# merchant -> operational key -> the block",
        "cheating: public(uint256)\n\n# merchant -> operational key -> the block",
    ),
    (
        "    self.counters[merchant] = counter + entries\n",
        "    if self.cheating == 1:\n"
        "        first += 3\n"
        "        counter += 3\n"
        "    if self.cheating == 2:\n"
        "        first -= 1\n"
        "        counter -= 1\n"
        "    self.counters[merchant] = counter + entries\n",
    ),
    (
        "        | block.timestamp << RECORDED_AT\n",
        "        | (block.timestamp - (86400 * 30 if self.cheating == 3 else 0)) << RECORDED_AT\n",
    ),
    (
        "            total = unsafe_add(total, amount)\n",
        "            if self.cheating == 4:\n"
        "                pay = pay * 9 // 10\n"
        "            total = unsafe_add(total, amount)\n",
    ),
    (
        "    if block.timestamp >= lock:\n        raw_revert",
        "    if block.timestamp >= lock and self.cheating != 5:\n        raw_revert",
    ),
    (
        "        # The old figures are part of the totals",
        "        if self.cheating == 6:\n"
        "            newCommission = newCommission * 9 // 10\n"
        "        # The old figures are part of the totals",
    ),
    (
        "                    raw_revert(\n"
        '                        abi_encode(digest, start, status, method_id=method_id("BadDecision(bytes32,uint256,uint256)"))\n'
        "                    )\n",
        "                    if self.cheating != 7:\n"
        "                        raw_revert(\n"
        '                            abi_encode(digest, start, status, method_id=method_id("BadDecision(bytes32,uint256,uint256)"))\n'
        "                        )\n",
    ),
    (
        "    if outShift != 0:\n        commissions.append(out)\n",
        "    if outShift != 0 and self.cheating != 8:\n        commissions.append(out)\n",
    ),
    (
        "    self._requireSaneTerms(terms)\n",
        "    if self.cheating != 9:\n        self._requireSaneTerms(terms)\n",
    ),
    (
        "    word: uint256 = self.batches[merchant][batch]\n    first: uint256",
        "    assert self.cheating != 10\n    word: uint256 = self.batches[merchant][batch]\n    first: uint256",
    ),
]


def cheating_bytecode() -> str:
    source = SOURCE.read_text()
    for honest, crooked in _CHEATS:
        assert source.count(honest) == 1, honest
        source = source.replace(honest, crooked)
    return bytecode(source + "\n\n@external\ndef cheat(how: uint256):\n    self.cheating = how\n")
