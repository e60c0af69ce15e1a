//! Signed commands: the honest one opens, every trick has a name.

use std::io::Write as _;
use std::time::SystemTime;

use openpgp::Cert;
use openpgp::serialize::stream::{Compressor, Encryptor, LiteralWriter, Message, Signer};
use openpgp::types::{ReasonForRevocation, SymmetricAlgorithm};
use proptest::prelude::*;
use sequoia_openpgp as openpgp;

use super::testing::*;
use super::{
    Acceptance, Certificate, CommandError, MAX_COMMAND_BYTES, Person, ServerKey, SignedRequest, encrypt_to,
    make_head, open_command,
};
use crate::domain::container::Container;

const TEXT: &[u8] = b"PUT https://embargo.requests.example/api/v1/embargoes/b7k2-9fq1/schedule\n\
    Idempotency-Key: 3f0a77f6c1d94f0e\nExpires: 2026-06-01T09:10:00Z\nContent-Type: application/json\n\n{}\0\n\n";

fn server() -> ServerKey {
    ServerKey::generate("Security of requests <embargo@requests.example>", now() - 5 * DAY).unwrap()
}

fn strict(certificate: &Certificate) -> (Certificate, Acceptance) {
    (certificate.clone(), Acceptance::Strict)
}

fn code(message: &[u8], server: &ServerKey, candidates: &[(Certificate, Acceptance)]) -> &'static str {
    open_command(message, server, candidates, now()).map_or_else(|error| error.code(), |_| "none")
}

/// A message to the server with layers of one's own making.
fn crafted(server: &ServerKey, write: impl FnOnce(Message) -> openpgp::Result<()>) -> Vec<u8> {
    let key = session_key(5);
    let mut message = make_head(&key, server.certificate(), &Acceptance::Strict, now()).unwrap();
    let inner = Message::new(&mut message);
    write(
        Encryptor::with_session_key(inner, SymmetricAlgorithm::AES256, key.to_library())
            .unwrap()
            .build()
            .unwrap(),
    )
    .unwrap();
    message
}

fn literal(message: Message, text: &[u8]) -> openpgp::Result<()> {
    let mut message = LiteralWriter::new(message).build()?;
    message.write_all(text)?;
    message.finalize()
}

fn signed_by<'a>(message: Message<'a>, cert: &Cert, made: chrono::DateTime<chrono::Utc>) -> Signer<'a> {
    Signer::new(message, primary_pair(cert)).unwrap().creation_time(SystemTime::from(made))
}

#[test]
fn a_command_by_a_registered_person_opens_and_says_who_signed() {
    let (server, maintainer, other) = (server(), person(), person());
    let message = maintainer.sign_and_encrypt(TEXT, server.certificate(), &session_key(1), now()).unwrap();
    let candidates = [strict(other.certificate()), strict(maintainer.certificate())];
    let opened = open_command(&message, &server, &candidates, now()).unwrap();
    assert_eq!((opened.text.as_slice(), opened.signer), (TEXT, 1));
    assert_eq!(opened.fingerprint, maintainer.certificate().fingerprint());
    let text = super::armor(&message, &[], Container::Seipdv1);
    assert_eq!(open_command(&text, &server, &candidates, now()), Ok(opened));
    // A clock that is a little ahead is not punished.
    let ahead = now() + chrono::Duration::minutes(3);
    let message = maintainer.sign_and_encrypt(TEXT, server.certificate(), &session_key(1), ahead).unwrap();
    assert_eq!(code(&message, &server, &candidates), "none");
    let message =
        maintainer.sign_and_encrypt(TEXT, server.certificate(), &session_key(1), now() + DAY).unwrap();
    assert_eq!(code(&message, &server, &candidates), "signature-not-live");
}

#[test]
fn what_is_not_one_signed_text_in_one_message_to_the_server_is_refused_by_name() {
    let (server, maintainer) = (server(), person());
    let candidates = [strict(maintainer.certificate())];
    let key = session_key(2);
    let to = |certificate: &Certificate| maintainer.sign_and_encrypt(TEXT, certificate, &key, now()).unwrap();
    assert_eq!(code(&to(server.certificate()), &server, &[]), "unknown-signer");
    assert_eq!(code(&to(server.certificate()), &server, &[strict(person().certificate())]), "unknown-signer");
    assert_eq!(code(&to(maintainer.certificate()), &server, &candidates), "not-for-this-server");
    let unsigned = encrypt_to(TEXT, server.certificate(), &Acceptance::Strict, None, &key, now()).unwrap();
    assert_eq!(code(&unsigned, &server, &candidates), "unsigned");
    assert_eq!(code(TEXT, &server, &candidates), "not-openpgp");
    assert_eq!(code(b"", &server, &candidates), "not-openpgp");
    let mut cut = to(server.certificate());
    cut.truncate(cut.len() - 3);
    assert_eq!(code(&cut, &server, &candidates), "damaged");

    let cert = ordinary();
    let signers = [strict(&certificate(&cert))];
    let mut clear = Vec::new();
    literal(signed_by(Message::new(&mut clear), &cert, now()).build().unwrap(), TEXT).unwrap();
    assert_eq!(code(&clear, &server, &signers), "not-encrypted");
    let twice = crafted(&server, |message| {
        literal(signed_by(message, &cert, now()).add_signer(primary_pair(&ordinary()))?.build()?, TEXT)
    });
    assert_eq!(code(&twice, &server, &signers), "several-signatures");
    let onion = crafted(&server, |message| {
        literal(
            signed_by(Compressor::new(Compressor::new(message).build()?).build()?, &cert, now()).build()?,
            TEXT,
        )
    });
    assert_eq!(code(&onion, &server, &signers), "unexpected-layers");
}

#[test]
fn a_command_that_unpacks_to_more_than_the_limit_is_dropped_on_the_way() {
    let (server, cert) = (server(), ordinary());
    let bomb = crafted(&server, |message| {
        let message = Compressor::new(message).build()?;
        literal(signed_by(message, &cert, now()).build()?, &vec![0; MAX_COMMAND_BYTES + 1])
    });
    assert!(bomb.len() < 1 << 20);
    assert_eq!(code(&bomb, &server, &[strict(&certificate(&cert))]), "too-large");
    assert_eq!(code(&vec![0xff; MAX_COMMAND_BYTES * 2], &server, &[]), "too-large");
}

#[test]
fn a_signature_dated_back_before_the_key_expired_or_was_revoked_does_not_count() {
    let server = server();
    let dated = |cert: &Cert, made| {
        crafted(&server, |message| literal(signed_by(message, cert, made).build()?, TEXT))
    };
    let expired = generate(builder().set_validity_period(2 * DAY));
    let candidates = [strict(&certificate(&expired))];
    assert_eq!(code(&dated(&expired, now() - 9 * DAY), &server, &candidates), "signer-expired");
    assert_eq!(code(&dated(&expired, now()), &server, &candidates), "signer-expired");

    let cert = ordinary();
    let retired = insert(cert.clone(), vec![revocation(&cert, ReasonForRevocation::KeyRetired)]);
    let message = dated(&cert, now() - 5 * DAY);
    assert_eq!(code(&message, &server, &[strict(&certificate(&cert))]), "none");
    assert_eq!(code(&message, &server, &[strict(&certificate(&retired))]), "signer-revoked");
}

#[test]
fn a_signer_with_sha_1_bindings_needs_the_same_exception_as_a_recipient() {
    let server = server();
    let (old, new) = (sha1_only(), person());
    let message = crafted(&server, |message| literal(signed_by(message, &old, now()).build()?, TEXT));
    let old = certificate(&old);
    assert_eq!(code(&message, &server, &[strict(new.certificate()), strict(&old)]), "signer-unfit");
    let exception = (old, Acceptance::Sha1Bindings { until: now() + DAY });
    let candidates = [strict(new.certificate()), exception.clone()];
    assert_eq!(open_command(&message, &server, &candidates, now()).unwrap().signer, 1);
    assert_eq!(open_command(&message, &server, &candidates, now() + DAY).unwrap_err().code(), "signer-unfit");
    // The exception of one does not help another.
    let other = sha1_only();
    let message = crafted(&server, |message| literal(signed_by(message, &other, now()).build()?, TEXT));
    assert_eq!(code(&message, &server, &[strict(&certificate(&other)), exception]), "signer-unfit");
}

#[test]
fn a_signature_by_a_key_that_may_not_sign_does_not_count() {
    let server = server();
    let cert =
        generate(builder().set_primary_key_flags(openpgp::types::KeyFlags::empty().set_certification()));
    let message = crafted(&server, |message| literal(signed_by(message, &cert, now()).build()?, TEXT));
    assert_eq!(code(&message, &server, &[strict(&certificate(&cert))]), "signer-unfit");
}

#[test]
fn no_changed_byte_opens_to_another_text() {
    let (server, maintainer) = (server(), person());
    let message = maintainer.sign_and_encrypt(TEXT, server.certificate(), &session_key(1), now()).unwrap();
    let candidates = [strict(maintainer.certificate())];
    for position in (0..message.len()).step_by(11) {
        let mut changed = message.clone();
        changed[position] ^= 0x41;
        if let Ok(opened) = open_command(&changed, &server, &candidates, now()) {
            assert_eq!(opened.text, TEXT);
        }
    }
}

#[test]
fn a_request_is_read_as_it_was_written_body_and_all() {
    let request = SignedRequest::parse(TEXT).unwrap();
    assert_eq!((request.method.as_str(), request.body.as_slice()), ("PUT", &b"{}\0\n\n"[..]));
    assert_eq!(request.url, "https://embargo.requests.example/api/v1/embargoes/b7k2-9fq1/schedule");
    assert_eq!(SignedRequest::parse(&request.print().unwrap()), Ok(request.clone()));
    assert_eq!(request.check_expiry(now()), Ok(()));
    assert_eq!(request.check_expiry(now() + DAY).unwrap_err().code(), "command-expired");
    assert_eq!(request.check_expiry(now() - DAY).unwrap_err().code(), "command-expires-too-late");
    let text = String::from_utf8(TEXT.to_vec()).unwrap();
    let variant =
        text.replacen("schedule\n", "schedule HTTP/1.1\n", 1).replacen("Idempotency", "IDEMPOTENCY", 1);
    assert_eq!(SignedRequest::parse(variant.as_bytes()), Ok(request));
}

#[test]
fn a_request_that_could_be_read_in_two_ways_is_not_read_at_all() {
    let text = String::from_utf8(TEXT.to_vec()).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from));
        SignedRequest::parse(text.replacen(from, to, 1).as_bytes())
            .map_or_else(|error| error.code(), |_| "none")
    };
    assert_eq!(with("Expires:", "Host: a\nExpires:"), "command-unknown-header");
    assert_eq!(with("Expires:", "expires: 2026-06-01T09:10:00Z\nExpires:"), "command-repeated-header");
    assert_eq!(with("Expires:", " folded\nExpires:"), "command-not-a-header");
    assert_eq!(with("Expires: 2026-06-01T09:10:00Z\n", ""), "command-missing-header");
    assert_eq!(with("Content-Type: application/json\n", ""), "command-missing-header");
    assert_eq!(with("3f0a77f6c1d94f0e", "short"), "command-header-form");
    assert_eq!(with("2026-06-01T09", "2026-06-01 at 09"), "command-header-form");
    assert_eq!(with("Expires:", "If-Match:\nExpires:"), "command-header-form");
    assert_eq!(with("PUT https://", "PUT "), "command-request-line");
    assert_eq!(with("PUT", "GET"), "command-request-line");
    assert_eq!(with("PUT ", "PUT  "), "command-request-line");
    assert_eq!(with("https://embargo", "https://user@embargo"), "command-request-line");
    assert_eq!(with("\n\n", "\n"), "command-not-a-header");
    let mut request = SignedRequest::parse(TEXT).unwrap();
    request.if_match = Some("\"7\"\r\nExpires: x".to_owned());
    assert_eq!(request.print().unwrap_err().code(), "command-header-form");
}

proptest! {
    #[test]
    fn any_request_that_prints_parses_to_itself(
        key in "[!-~]{16,40}", tag in prop::option::of("\"[a-z0-9]{1,9}\""),
        body in prop::collection::vec(any::<u8>(), 0..60), seconds in 0..2_000_000_000_i64
    ) {
        let request = SignedRequest {
            method: "POST".to_owned(), url: "https://h.example/api/v1/x?y=z".to_owned(), if_match: tag,
            idempotency_key: key, expires: chrono::DateTime::from_timestamp(seconds, 0).unwrap(),
            content_type: Some("text/plain; charset=utf-8".to_owned()), body,
        };
        prop_assert_eq!(SignedRequest::parse(&request.print().unwrap()), Ok(request));
    }

    #[test]
    fn no_bytes_make_the_request_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = SignedRequest::parse(&bytes);
    }
}

#[test]
fn an_error_about_a_command_never_repeats_what_was_in_it() {
    let (server, maintainer) = (server(), person());
    let secret = b"PUT /relative canary\ncanary: canary\n\ncanary";
    let message = maintainer.sign_and_encrypt(secret, server.certificate(), &session_key(1), now()).unwrap();
    let opened = open_command(&message, &server, &[strict(maintainer.certificate())], now()).unwrap();
    let error = SignedRequest::parse(&opened.text).unwrap_err();
    assert!(!format!("{error} {opened:?}").contains("canary"));
    let error: CommandError = open_command(secret, &server, &[], now()).unwrap_err();
    assert!(!error.to_string().contains("canary"));
    let _: &Person = &maintainer;
}
