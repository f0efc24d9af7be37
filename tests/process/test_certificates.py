"""The private authority's files: who may read them, what they say, and that none is overwritten."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from process.certificates import issue_client, issue_server, make_authority
from process.errors import CertificateError


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    issued = [
        make_authority(tmp_path),
        issue_server(tmp_path, authority=tmp_path, hosts=["localhost"]),
        issue_client(tmp_path, authority=tmp_path, name="trainer"),
    ]
    for one in issued:
        assert stat.S_IMODE(one.key.stat().st_mode) == 0o600
        assert b"PRIVATE" not in one.certificate.read_bytes()


def test_leaves_are_signed_by_the_authority_and_sign_nothing(tmp_path: Path) -> None:
    authority = read(make_authority(tmp_path).certificate)
    server = read(issue_server(tmp_path, authority=tmp_path, hosts=["a.example", "::1"]).certificate)
    client = read(issue_client(tmp_path, authority=tmp_path, name="trainer").certificate)
    for leaf, purpose in ((server, ExtendedKeyUsageOID.SERVER_AUTH), (client, ExtendedKeyUsageOID.CLIENT_AUTH)):
        leaf.verify_directly_issued_by(authority)
        assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [purpose]
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["a.example", "::1"]
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    issued = make_authority(tmp_path)
    before = issued.key.read_bytes()
    with pytest.raises(CertificateError, match="exists"):
        make_authority(tmp_path)
    assert issued.key.read_bytes() == before


@pytest.mark.parametrize("hosts", [[], ["ä.example"]])
def test_unusable_hosts_are_refused(hosts: list[str], tmp_path: Path) -> None:
    make_authority(tmp_path)
    with pytest.raises(CertificateError, match="hosts"):
        issue_server(tmp_path, authority=tmp_path, hosts=hosts)


@pytest.mark.parametrize("name", ["", "../x", ".hidden"])
def test_a_name_stays_in_its_directory(name: str, tmp_path: Path) -> None:
    make_authority(tmp_path / "ca")
    with pytest.raises(CertificateError, match="name"):
        issue_client(tmp_path / "out", authority=tmp_path / "ca", name=name)


def test_an_authority_is_whole(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="No such file"):
        issue_client(tmp_path, authority=tmp_path, name="trainer")
    first, second = make_authority(tmp_path / "a"), make_authority(tmp_path / "b")
    first.key.write_bytes(second.key.read_bytes())
    with pytest.raises(CertificateError, match="not the key"):
        issue_client(tmp_path, authority=tmp_path / "a", name="trainer")
    second.key.write_bytes(b"junk")
    with pytest.raises(CertificateError, match="no authority"):
        issue_client(tmp_path, authority=tmp_path / "b", name="trainer")
