//! Certificates and patches just below the limits, made to be laborious.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use openpgp::Packet;
use openpgp::cert::{Cert, CertBuilder, CipherSuite};
use openpgp::packet::UserID;
use openpgp::packet::signature::SignatureBuilder;
use openpgp::serialize::SerializeInto as _;
use openpgp::types::{KeyFlags, SignatureType};
use sequoia_openpgp as openpgp;

const MINUTE: Duration = Duration::from_mins(1);
/// The largest fix.
const MAX_FIX_BYTES: usize = 10 << 20;

/// Certificates as large as they may be.
pub fn certificates(now: DateTime<Utc>) -> Vec<(String, Vec<u8>)> {
    let suites = [
        (CipherSuite::Cv25519, "Ed25519"),
        (CipherSuite::P256, "P-256"),
        (CipherSuite::P384, "P-384"),
        (CipherSuite::P521, "P-521"),
        (CipherSuite::RSA4k, "RSA 4096"),
    ];
    let mut all = Vec::new();
    for (suite, name) in suites {
        let made = SystemTime::from(now) - Duration::from_hours(24 * 30);
        // A few less than are taken.
        let most = if matches!(suite, CipherSuite::P384 | CipherSuite::P521) { 60 } else { 120 };
        let signed = |wrong| much_signed(suite, made, most, wrong);
        all.push((format!("{most} different self-signatures by {name}"), signed(false)));
        all.push((format!("{most} different self-signatures by {name}, all wrong"), signed(true)));
        // Making RSA keys takes long.
        let count = if matches!(suite, CipherSuite::RSA4k) { 4 } else { 50 };
        all.push((format!("{count} subkeys of {name}"), many_subkeys(suite, made, count)));
    }
    all
}

fn bytes(cert: Cert) -> Vec<u8> {
    cert.strip_secret_key_material().to_vec().unwrap()
}

/// One user id, signed anew every minute; about somebody else, if the signatures are to be wrong.
fn much_signed(suite: CipherSuite, made: SystemTime, count: u32, wrong: bool) -> Vec<u8> {
    let user_id = UserID::from("Distro Security <security@distro.example>");
    let signed = if wrong { UserID::from("Somebody <else@distro.example>") } else { user_id.clone() };
    let (cert, _) = builder(suite, made).generate().unwrap();
    let mut owner = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    let mut packets: Vec<Packet> = vec![cert.primary_key().key().clone().into(), user_id.into()];
    for number in 0..count {
        let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
            .set_signature_creation_time(made + MINUTE * number)
            .unwrap()
            .set_key_flags(KeyFlags::empty().set_certification())
            .unwrap();
        packets.push(signed.bind(&mut owner, &cert, binding).unwrap().into());
    }
    for subkey in cert.keys().subkeys() {
        packets.push(subkey.key().clone().into());
        packets.extend(subkey.self_signatures().cloned().map(Packet::from));
    }
    packets.iter().flat_map(|packet| packet.to_vec().unwrap()).collect()
}

fn many_subkeys(suite: CipherSuite, made: SystemTime, count: usize) -> Vec<u8> {
    let mut builder = builder(suite, made);
    for _ in 1..count {
        builder = builder.add_subkey(KeyFlags::empty().set_transport_encryption(), None, None);
    }
    bytes(builder.generate().unwrap().0)
}

fn builder(suite: CipherSuite, made: SystemTime) -> CertBuilder<'static> {
    CertBuilder::new()
        .set_cipher_suite(suite)
        .set_creation_time(made)
        .add_userid("Distro Security <security@distro.example>")
        .add_subkey(KeyFlags::empty().set_transport_encryption().set_storage_encryption(), None, None)
}

/// Fixes as large as they may be.
pub fn fixes() -> Vec<(&'static str, Vec<u8>)> {
    let file = |number: usize| format!("diff --git a/{number} b/{number}\n--- a/{number}\n+++ b/{number}\n");
    let room = MAX_FIX_BYTES - 1000;
    let lines = room / 2;
    let many_lines = format!("{}@@ -0,0 +1,{lines} @@\n{}", file(0), "+\n".repeat(lines));
    let one_line = format!("{}@@ -0,0 +1 @@\n+{}\n", file(0), "x".repeat(room));
    let mut many_hunks = file(0);
    let mut number = 1;
    while many_hunks.len() < room {
        let _ = write!(many_hunks, "@@ -{number} +{number} @@\n-a\n+b\n");
        number += 3;
    }
    let head = |words: &str| {
        format!(
            "From: R <r@fixer.example>\nDate: Mon, 1 Jun 2026 09:00:00 +0000\nSubject: [PATCH] x\n{words}\n\
             because\n---\n"
        )
    };
    let small = format!("{}@@ -1 +1 @@\n-a\n+b\n", file(0));
    let many_headers = format!("{}{small}", head(&"X-Y: z\n".repeat(room / 7 - 100)));
    let folded_header = format!("{}{small}", head(&format!("X-Y:{}\n", " z\n".repeat(room / 3 - 100))));
    let long_words = format!(
        "From: R <r@fixer.example>\nSubject: {}\n\nbecause\n---\n{small}",
        "=?utf-8?q?=41?= ".repeat(room / 17 - 100)
    );
    let quoted = format!(
        "{}{}",
        head("Content-Transfer-Encoding: quoted-printable\n"),
        many_lines.replace("+\n", "=2B\n").get(..room).unwrap_or_default()
    );
    let preface = format!("{}{small}", "From here on nothing is a diff\n".repeat(room / 31 - 10));
    let many_mails = format!(
        "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\n{}{small}-- \n2.47.3\n\n",
        head("")
    )
    .repeat(1000);
    [
        ("five million added lines", many_lines),
        ("one line of ten mebibytes", one_line),
        ("as many hunks as fit", many_hunks),
        ("as many headers as fit", many_headers),
        ("one header folded as often as fits", folded_header),
        ("a subject of encoded words", long_words),
        ("quoted-printable throughout", quoted),
        ("ten mebibytes of words before the diff", preface),
        ("a thousand mails", many_mails),
    ]
    .into_iter()
    .map(|(name, text)| (name, text.into_bytes()))
    .collect()
}
