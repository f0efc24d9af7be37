"""Structured reference strings: where they are, what is in them, and which are for tests only.

Format (halo2's): 4-byte little-endian k; 2^k powers in G1; 2^k Lagrange points in G1; G2; tau G2.
A coordinate is 32 bytes of little-endian Montgomery limbs, so a file has 128 * 2^k + 260 bytes. Beside it, proofs of
the update argument need the next three powers, in `kzg{k}.next`.
"""

from functools import cached_property
from pathlib import Path

import merit_native

from circuits.errors import SrsError
from circuits.native import Progress, translated

MAX_K = 26

# SHA-256 of the files of the perpetual powers-of-tau ceremony in this format, by k. Whoever made any other file
# may know tau, and could then open a commitment to anything.
CEREMONY_SHA256 = {
    10: "9705d450e5dfd06adb673705f7bc34418ec86339203198beceb2ae7f1ffefedb",
    11: "257fa566ed9bc0767d3e63e92b5e966829fa3347d320a32055dc31ee7d33f8a4",
    12: "28b151069f41abc121baa6d2eaa8f9e4c4d8326ddbefee2bd9c0776b80ac6fad",
    13: "d5d94bb25bdc024f649213593027d861042ee807cafd94b49b54f1663f8f267d",
    14: "c09129f064c08ecb07ea3689a2247dcc177de6837e7d2f5f946e30453abbccef",
    15: "90807800a1c3b248a452e1732c45ee5099f38b737356f5542c0584ec9c3ebb45",
    16: "2a1a494630e71bc026dd5c0eab4c1b9a5dbc656228c1f0d48f5dbd3909b161d3",
    17: "41509f380362a8d14401c5ae92073154922fe23e45459ce6f696f58607655db7",
    18: "d0148475717a2ba269784a178cb0ab617bc77f16c58d4a3cbdfe785b591c7034",
    19: "d1a1655b4366a766d1578beb257849a92bf91cb1358c1a2c37ab180c5d3a204d",
    20: "54ef75911da76d7a6b7ea341998aaf66cb06c679c53e0a88a4fe070dd3add963",
    21: "486e044cf98704e07f41137d2b89698dc03d1fbf34d13b60902fea19a6013b4b",
    22: "1ee9b4396db3e4e2516ac5016626ab6ba967f091d5d23afbdb7df122a0bb9d0c",
    23: "748e48b9b6d06f9c82d26bf551d0af43ee2e801e4be56d7ccb20312e267fd1d6",
    24: "f94fa4afa2f5147680f907d4dd96a8826206c26bd3328cd379feaed614b234de",
    25: "dec49a69893fbcd66cd06296b2d936a6aceb431c130b2e52675fe4274b504f57",
    26: "b198a51d48b88181508d8e4ea9dea39db285e4585663b29b7e4ded0c22a94875",
}


def file_name(k: int) -> str:
    """kzg{k}.srs, the name under which a directory holds the string of 2^k powers."""
    return f"kzg{k}.srs"


class Srs:
    """One string on disk, mapped: points are decoded when they are used.

    Attributes:
        path: the file.
        native: the same, as the Rust crate takes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise SrsError(f"{path.name}: no such file; make a string for tests with `merit srs generate`")
        with translated():
            self.native = merit_native.Srs(path)
        if self.k > MAX_K:
            raise SrsError(f"{path.name}: k = {self.k} is over {MAX_K}")

    @property
    def k(self) -> int:
        """log2 of the number of powers."""
        return self.native.k

    @classmethod
    def find(cls, directory: Path, k: int) -> "Srs":
        """The string of 2^k powers in `directory` (SrsError if it is missing or of another size)."""
        srs = cls(directory / file_name(k))
        if srs.k != k:
            raise SrsError(f"{srs.path.name}: holds 2^{srs.k} powers, its name says 2^{k}")
        return srs

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, in hex."""
        with translated():
            return self.native.digest().hex()

    @property
    def is_test_only(self) -> bool:
        """True unless the file is the public ceremony's."""
        return CEREMONY_SHA256.get(self.k) != self.digest

    def require_allowed(self, *, chain_is_local: bool) -> None:
        """SrsError if a test-only string would be used on a chain that is not local."""
        if self.is_test_only and not chain_is_local:
            raise SrsError(
                f"{self.path.name} (SHA-256 {self.digest}) is not the public ceremony's file; whoever made it can "
                "forge proofs, so it is refused outside local chains"
            )

    @property
    def is_provable(self) -> bool:
        """Whether the side file is there, without which updates can be committed and verified, but not proven."""
        return self.path.with_suffix(".next").is_file()

    def check(self, progress: Progress | None = None) -> None:
        """Checks every point, and that all are powers, and Lagrange points, of one tau (SrsError otherwise)."""
        with translated():
            self.native.check(progress)

    def extend_from(self, larger: "Srs") -> None:
        """Writes the side file from a larger string of the same ceremony (SrsError if it is another's)."""
        with translated():
            self.native.extend_from(larger.native)


def generate(path: Path, k: int, progress: Progress | None = None) -> Srs:
    """Writes a string of 2^k powers and its side file, for tests only: whoever runs this could know tau.

    Raises:
        SrsError: there is a file already, or it cannot be written.
        ProofCancelled: `progress` answered False.
    """
    if path.exists():
        raise SrsError(f"{path.name}: there is one already; what was proven under it would be lost with it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with translated():
        merit_native.generate_srs(path, k, progress)
    return Srs(path)
