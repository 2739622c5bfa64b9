from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.enrolment.authority import Authority, common_name, names_of, read_csr, verify_signature
from protocols.errors import BadInputError, ConfigError, NotAuthenticatedError

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
DAYS = timedelta(days=90)


def a_csr(key=None, name="evil"):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


@pytest.fixture
def authority(tmp_path):
    return Authority.load(tmp_path / "pki", "320600", NOW)


def test_the_authority_is_made_once_and_kept(authority, tmp_path):
    again = Authority.load(tmp_path / "pki", "320600", NOW + DAYS)
    assert again.sha256 == authority.sha256
    assert again.pin == authority.sha256[:32]
    assert (tmp_path / "pki/ca.key").stat().st_mode & 0o777 == 0o600


def test_damaged_files_are_named(authority, tmp_path):
    other = Authority.load(tmp_path / "other", "320600", NOW)
    (authority.folder / "ca.crt").write_bytes((other.folder / "ca.crt").read_bytes())
    with pytest.raises(ConfigError, match="do not belong together"):
        Authority.load(authority.folder, "320600", NOW)
    (authority.folder / "ca.crt").unlink()
    with pytest.raises(ConfigError, match="damaged"):
        Authority.load(authority.folder, "320600", NOW)


def test_a_node_gets_its_own_name_whatever_the_csr_says(authority):
    pem = authority.issue_node(read_csr(a_csr()), "320623-box", DAYS, NOW)
    certificate = x509.load_pem_x509_certificate(pem.encode())
    assert common_name(certificate) == "320623-box"
    assert authority.verify_issued(certificate, NOW) == "320623-box"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_is_good_for_its_time_and_its_authority(authority, tmp_path):
    certificate = x509.load_pem_x509_certificate(
        authority.issue_node(read_csr(a_csr()), "320623-box", DAYS, NOW).encode()
    )
    with pytest.raises(NotAuthenticatedError, match="in force"):
        authority.verify_issued(certificate, NOW + timedelta(days=91))
    with pytest.raises(NotAuthenticatedError, match="not of this authority"):
        Authority.load(tmp_path / "other", "320600", NOW).verify_issued(certificate, NOW)


def test_own_certificates_are_kept_until_two_thirds_or_other_names(authority):
    def serial(hosts, now):
        files = authority.server_files("broker", hosts, now)
        return x509.load_pem_x509_certificate(files.certificate.read_bytes())

    first = serial(["10.1.2.3", "city.example", "0.0.0.0"], NOW)
    assert names_of(first) == {"10.1.2.3", "city.example", "127.0.0.1", "localhost"}
    assert serial(["10.1.2.3", "city.example"], NOW + DAYS).serial_number == first.serial_number
    assert serial(["10.1.2.4"], NOW).serial_number != first.serial_number
    second = serial(["10.1.2.4"], NOW)
    assert serial(["10.1.2.4"], NOW + timedelta(days=300)).serial_number != second.serial_number


def test_csrs_that_are_not_ours_to_sign_are_refused(authority):
    with pytest.raises(BadInputError, match="PEM"):
        read_csr("rubbish")
    with pytest.raises(BadInputError, match="P-256"):
        read_csr(a_csr(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(BadInputError, match="P-256"):
        read_csr(a_csr(rsa.generate_private_key(65537, 2048)))


def test_only_the_old_key_proves_a_renewal(authority):
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = x509.load_pem_x509_certificate(
        authority.issue_node(read_csr(a_csr(key)), "320623-box", DAYS, NOW).encode()
    )
    verify_signature(certificate, key.sign(b"csr", ec.ECDSA(hashes.SHA256())), b"csr")
    other = ec.generate_private_key(ec.SECP256R1())
    for signature in (other.sign(b"csr", ec.ECDSA(hashes.SHA256())), b"", b"rubbish"):
        with pytest.raises(NotAuthenticatedError):
            verify_signature(certificate, signature, b"csr")
