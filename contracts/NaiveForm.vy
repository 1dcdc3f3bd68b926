# pragma version 0.4.3
# pragma evm-version cancun
"""
@title The naive form
@license MIT
@notice One transaction, one slot and one event for each conversion: what the gas table compares with. Never deployed
        for use; it checks neither keys nor agreements and computes nothing.
"""

event Conversion:
    merchant: indexed(address)
    agreement: indexed(bytes32)
    sequence: uint256
    commitment: bytes32
    amount: uint256


sequences: HashMap[address, uint256]
# merchant -> sequence -> commitment 160 | amount 64
entries: HashMap[address, HashMap[uint256, uint256]]


@external
def record(merchant: address, agreement: bytes32, commitment: bytes32, amount: uint256):
    """
    @notice Records one conversion.
    """
    sequence: uint256 = self.sequences[merchant] + 1
    self.sequences[merchant] = sequence
    self.entries[merchant][sequence] = convert(commitment, uint256) >> 96 << 64 | amount
    log Conversion(
        merchant=merchant, agreement=agreement, sequence=sequence, commitment=commitment, amount=amount
    )
