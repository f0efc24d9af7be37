"""A private certificate authority: who an aggregator is, and who may speak to it, without anybody's registry.

One authority signs the aggregator's certificate, which names its hosts, and those of its clients, where they are asked
for one. Keys are on P-256; key files are their owner's alone.
"""

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from process.errors import CertificateError

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
# Clocks differ: a certificate holds from a little before it was made.
_BACKDATED = timedelta(minutes=5)
_MAX_FILE_BYTES = 64 << 10
_MAX_COMMON_NAME = 64


@dataclass(frozen=True, kw_only=True)
class Issued:
    """Attributes:
    certificate: PEM file, for everyone. key: PEM file, 0600, unencrypted.
    """

    certificate: Path
    key: Path


def make_authority(directory: Path, *, name: str = "Meritproof private CA", days: int = AUTHORITY_DAYS) -> Issued:
    """A new authority: `ca.pem` and `ca.key` in the directory, which is made if it is missing.

    Raises:
        CertificateError: a file is there already, or cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = (
        _builder(subject, subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return _write(directory, "ca", builder.sign(key, hashes.SHA256()), key)


def issue_server(
    directory: Path, *, authority: Path, hosts: Sequence[str], name: str = "server", days: int = LEAF_DAYS
) -> Issued:
    """A certificate of an aggregator: `NAME.pem` and `NAME.key` in the directory.

    Args:
        authority: the directory that `make_authority` wrote to.
        hosts: DNS names and IP addresses that clients reach it by.
    Raises:
        CertificateError: no host, a malformed one, no authority there, or a file is there already.
    """
    if not hosts:
        raise CertificateError("hosts: a server's certificate names at least one")
    alternatives = x509.SubjectAlternativeName([_host(host) for host in hosts])
    return _issue(directory, authority, name, hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, alternatives, days)


def issue_client(directory: Path, *, authority: Path, name: str, days: int = LEAF_DAYS) -> Issued:
    """A certificate of a client, for an aggregator that asks for one: `NAME.pem` and `NAME.key` in the directory.

    Raises:
        CertificateError: no authority there, or a file is there already.
    """
    return _issue(directory, authority, name, name, ExtendedKeyUsageOID.CLIENT_AUTH, None, days)


def _issue(
    directory: Path,
    authority: Path,
    name: str,
    common_name: str,
    purpose: x509.ObjectIdentifier,
    alternatives: x509.SubjectAlternativeName | None,
    days: int,
) -> Issued:
    if not name or "/" in name or name.startswith("."):
        raise CertificateError(f"name: got {name!r}, but it names two files")
    issuer, issuer_key = _load_authority(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(common_name), issuer.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if alternatives is not None:
        builder = builder.add_extension(alternatives, critical=False)
    return _write(directory, name, builder.sign(issuer_key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + min(timedelta(days=days), timedelta()) - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_MAX_COMMON_NAME])])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError:
        raise CertificateError(f"hosts: {host!r} is neither a DNS name in ASCII nor an IP address") from None


def _load_authority(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(_read(directory / "ca.pem"))
        key = serialization.load_pem_private_key(_read(directory / "ca.key"), password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{directory}: holds no authority ({type(error).__name__})") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError(f"{directory}: ca.key is not the key of ca.pem")
    return certificate, key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from error


def _write(directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    """The key first: a certificate without its key would be of no use."""
    issued = Issued(certificate=directory / f"{name}.pem", key=directory / f"{name}.key")
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path, mode, data in (
            (issued.key, 0o600, private),
            (issued.certificate, 0o644, certificate.public_bytes(serialization.Encoding.PEM)),
        ):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
    except OSError as error:
        raise CertificateError(f"{error.filename}: {error.strerror}") from error
    return issued
