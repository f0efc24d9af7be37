"""Where the test of an attack is: `file::name`, or `file::Class::name`."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def exists(where: str) -> bool:
    """Whether there is such a test, in Python or Solidity."""
    file, *names = where.split("::")
    source = (ROOT / file).read_text()
    if file.endswith(".sol"):
        return re.search(rf"\bfunction {names[0]}\(", source) is not None
    scope: ast.AST = ast.parse(source)
    for name in names:
        body = getattr(scope, "body", [])
        found = [node for node in body if getattr(node, "name", None) == name]
        if not found:
            return False
        scope = found[0]
    return names[-1].startswith("test_")
