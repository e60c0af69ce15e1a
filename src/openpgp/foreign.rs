//! What people send in place of a certificate, told by its first bytes, so that the refusal can name it.

use super::certificate_error::CertificateError;

const MESSAGE: &str = "an encrypted message";

/// What a text is that holds no armored certificate.
pub(super) fn armored(bytes: &[u8]) -> CertificateError {
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let kinds = [
        ("-----BEGIN PGP SIGNED MESSAGE-----", "a signed message"),
        ("-----BEGIN PGP SIGNATURE-----", "a signature"),
        ("-----BEGIN PGP MESSAGE-----", MESSAGE),
        ("-----BEGIN PGP ", "OpenPGP data of another kind"),
    ];
    match kinds.iter().find(|(begin, _)| holds(begin)) {
        Some((_, found)) => CertificateError::NotACertificate { found },
        None => binary(bytes),
    }
}

/// What bytes are that begin with no OpenPGP packet.
pub(super) fn binary(bytes: &[u8]) -> CertificateError {
    CertificateError::NotOpenPgp { found: kind(bytes) }
}

fn kind(bytes: &[u8]) -> Option<&'static str> {
    let begins = [
        (&b"\x1f\x8b"[..], "a gzip archive"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\xfd7zXZ\0", "an xz archive"),
        (b"BZh", "a bzip2 archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"%PDF-", "a PDF document"),
        (b"\xff\xfe", "text in UTF-16"),
        (b"\xfe\xff", "text in UTF-16"),
        (b"ssh-", "an SSH key"),
        (b"ecdsa-sha2-", "an SSH key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY", "a SECRET SSH key"),
        (b"-----BEGIN CERTIFICATE", "an X.509 certificate"),
        (b"-----BEGIN PUBLIC KEY", "a public key in PEM form"),
    ];
    if let Some((_, found)) = begins.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(found);
    }
    if bytes.is_empty() {
        return Some("empty");
    }
    if bytes.get(8..12) == Some(b"KBXf") {
        return Some("a keybox file of GnuPG");
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]).trim_start().to_ascii_lowercase();
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return Some("an HTML page");
    }
    let is_mail = |field: &str| start.starts_with(field) || start.contains(&format!("\n{field}"));
    if is_mail("message-id:") || is_mail("mime-version:") {
        return Some("a mail without a certificate in its text");
    }
    None
}
