//! What OpenPGP certificates, messages and signatures are read from, and what a signed message says inside.

use std::sync::LazyLock;

use embargod::openpgp::{
    Acceptance, Certificate, Challenge, Expected, Inspection, Person, ServerKey, SessionKey, SignedRequest,
    Suite, armor, open_command, packets, verify_detached,
};

use super::{MIB, Target, now, said};

const WORDS: &[&str] =
    &["-----BEGIN PGP MESSAGE-----\n\n", "-----END PGP MESSAGE-----\n", "\u{0}", "\n=aaaa\n"];

static PEOPLE: LazyLock<(ServerKey, Person)> = LazyLock::new(|| {
    let made = now() - chrono::Duration::days(30);
    let server = ServerKey::generate("embargod <embargo@x.example>", made).unwrap();
    (server, Person::generate("Mara Keep <mara@requests.example>", Suite::Cv25519, made).unwrap())
});

fn request() -> Vec<u8> {
    let request = SignedRequest {
        method: "PUT".to_owned(),
        url: "https://embargo.example/api/v1/embargoes/0000-0000/schedule".to_owned(),
        if_match: Some("\"3\"".to_owned()),
        idempotency_key: "0123456789abcdef".to_owned(),
        expires: now(),
        content_type: Some("application/json".to_owned()),
        body: br#"{"lifts_at":"2026-06-10 14:00","reason":"r"}"#.to_vec(),
    };
    request.print().unwrap()
}

fn messages() -> Vec<Vec<u8>> {
    let (server, mara) = &*PEOPLE;
    let key = SessionKey::from_random([9; 32]);
    let message = mara.sign_and_encrypt(&request(), server.certificate(), &key, now()).unwrap();
    let binary = packets_of(&message);
    vec![message, binary]
}

/// The binary form of an armored message.
fn packets_of(armored: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(armored).replace('\r', "");
    let inside = text.split("\n\n").nth(1).unwrap_or_default();
    let lines = inside.lines().take_while(|line| !line.starts_with('=') && !line.starts_with('-'));
    base64_simd::STANDARD.decode_to_vec(lines.collect::<String>()).unwrap_or_default()
}

fn certificates() -> Vec<Vec<u8>> {
    let (server, mara) = &*PEOPLE;
    let armored = [server.certificate(), mara.certificate()].map(|it| it.to_armored().into_bytes());
    armored.into_iter().chain([mara.certificate().to_bytes()]).collect()
}

fn certificate(bytes: &[u8]) -> String {
    let seen = Inspection::of(bytes, &Expected::default(), now());
    let findings: Vec<_> = seen.findings.iter().map(|finding| finding.code).collect();
    let again = said(Certificate::parse(bytes), |parsed| {
        let again = Certificate::parse(&parsed.to_bytes()).unwrap();
        assert_eq!(again.to_bytes(), parsed.to_bytes(), "what was taken is taken again");
        parsed
            .check(&Acceptance::Strict, now())
            .map_or_else(|trouble| trouble.code().to_owned(), |()| "good".to_owned())
    });
    format!("{again} {findings:?}")
}

fn command(bytes: &[u8]) -> String {
    let (server, mara) = &*PEOPLE;
    let candidates = [(mara.certificate().clone(), Acceptance::Strict)];
    said(open_command(bytes, server, &candidates, now()), |opened| format!("opened by {}", opened.signer))
}

fn signature(bytes: &[u8]) -> String {
    let candidates = [(PEOPLE.1.certificate().clone(), Acceptance::Strict)];
    said(verify_detached(bytes, b"signed", &candidates, now()), |verified| verified.fingerprint)
}

/// The parsers of this file.
pub fn targets() -> Vec<Target> {
    let detached = PEOPLE.1.sign_detached(b"signed", now()).unwrap().into_bytes();
    let challenge =
        Challenge { origin: "https://embargo.example".to_owned(), nonce: [5; 32], expires: now() };
    vec![
        Target::new("certificate", certificates(), WORDS, MIB + 1, Box::new(certificate)),
        Target::new("command", messages(), WORDS, MIB, Box::new(command)),
        Target::new(
            "detached",
            vec![detached.clone(), packets_of(&detached)],
            WORDS,
            MIB,
            Box::new(signature),
        ),
        Target::new(
            "packets",
            messages().into_iter().chain(certificates()).collect(),
            WORDS,
            MIB,
            Box::new(|bytes| format!("{:?}", packets(bytes)).chars().take(80).collect()),
        ),
        Target::new(
            "armor",
            vec![vec![0; 100]],
            &[],
            MIB,
            Box::new(|bytes| {
                let (head, body) = bytes.split_at(bytes.len() / 2);
                let written = armor(head, body, embargod::domain::container::Container::Seipdv1);
                assert_eq!(packets_of(&written), bytes, "armor gives back what was put in");
                "armored".to_owned()
            }),
        ),
        Target::new(
            "request",
            vec![request()],
            &["If-Match: ", "Idempotency-Key: ", "Expires: ", "\r\n\r\n", "PUT ", "https://"],
            MIB,
            Box::new(|bytes| {
                said(SignedRequest::parse(bytes), |read| {
                    assert_eq!(SignedRequest::parse(&read.print().unwrap()).unwrap().body, read.body);
                    format!("{} {}", read.method, read.if_match.is_some())
                })
            }),
        ),
        Target::new(
            "challenge",
            vec![challenge.print().into()],
            &["origin: ", "expires: ", "nonce: ", "\r\n"],
            1 << 16,
            Box::new(|bytes| said(Challenge::parse(bytes), |_| "a challenge".to_owned())),
        ),
    ]
}
