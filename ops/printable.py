"""Text that somebody else chose - a box, a node, whoever wrote a receipt - on its way to a terminal."""


def printable(text: str) -> str:
    """One line of it, with every character that could move the cursor, hide text or turn its direction written out: `\\u001b`."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
