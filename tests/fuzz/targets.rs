//! The parsers, each with input that it takes and words that mean something to it.

use std::path::Path;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use embargod::domain::address::Address;
use embargod::domain::case::CaseText;
use embargod::domain::fix::{Fix, compare};
use embargod::domain::id::{EmbargoId, ReceiptCode};
use embargod::domain::instant::{parse_duration, parse_instant};
use embargod::domain::policy::{LiftWindow, Policy};
use embargod::openpgp::{
    Acceptance, Certificate, Challenge, Expected, Inspection, Person, ServerKey, SessionKey, SignedRequest,
    Suite, armor, open_command, packets, verify_detached,
};
use embargod::vault::{DataKey, KeyEncryptionKey, Place};
use embargod::{config, mail, outbound, wire};
use zeroize::Zeroizing;

/// A parser.
pub struct Target {
    pub name: &'static str,
    /// Input that it takes.
    pub seeds: Vec<Vec<u8>>,
    /// Words that mean something to it.
    pub words: &'static [&'static str],
    /// The most bytes that reach it.
    pub most: usize,
    /// Reads an input; what it says is an answer, the same for inputs that went the same way.
    pub run: Box<dyn Fn(&[u8]) -> String>,
}

const PATCH: &str = "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nFrom: R <r@fixer.example>\n\
    Date: Mon, 1 Jun 2026 09:00:00 +0000\nSubject: [PATCH 1/1] mend =?utf-8?q?it?=\nMIME-Version: 1.0\n\
    Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\nbecause\n---\n x | 2 +-\n\n\
    diff --git a/x b/x\nindex 1111111..2222222 100644\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-b\n+c\n d\n-- \n2.47.3\n\n";
const CONFIG: &str = "[server]\nurl = \"https://embargo.example\"\nlisten = \"127.0.0.1:8080\"\n[database]\nurl = \"x\"\n\
    [mail]\nfrom = \"embargo@x.example\"\n[mail.relay]\nhost = \"relay.example\"\n[limits]\nproxies = [\"::1\"]\n";
const TEXT: &str = "title = \"Leak\"\nsummary = \"A\"\nnotice = \"B\"\naffected = [\"< 2.32.4\"]\nfixed = [\"2.32.4\"]\n\
    cve = \"CVE-2026-0042\"\nchangelog = \"\"\"\nx\n\"\"\"\n[[commits]]\nid = \"0123\"\nbranch = \"main\"\n";
const ANSWER: &str = "From: a@b.example\r\nSubject: =?utf-8?b?eA==?=\r\nContent-Type: multipart/encrypted; \
    boundary=\"b\"; protocol=\"application/pgp-encrypted\"\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\n\
    Version: 1\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--b--\r\n";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_304_400, 0).unwrap()
}

static PEOPLE: LazyLock<(ServerKey, Person)> = LazyLock::new(|| {
    let made = now() - chrono::Duration::days(30);
    let server = ServerKey::generate("embargod <embargo@x.example>", made).unwrap();
    (server, Person::generate("Mara Keep <mara@requests.example>", Suite::Cv25519, made).unwrap())
});

/// What an error is called, without what it repeats of the input.
fn kind(error: &impl std::fmt::Display) -> String {
    error.to_string().chars().filter(|letter| !letter.is_ascii_digit()).take(60).collect()
}

fn said<T, E: std::fmt::Display>(result: Result<T, E>, what: impl FnOnce(T) -> String) -> String {
    result.map_or_else(|error| kind(&error), what)
}

/// Reads text; bytes that are none go nowhere.
fn text(read: impl Fn(&str) -> String + 'static) -> Box<dyn Fn(&[u8]) -> String> {
    Box::new(move |bytes| std::str::from_utf8(bytes).map_or_else(|_| "no text".to_owned(), &read))
}

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

fn fix(bytes: &[u8]) -> String {
    said(Fix::parse(bytes.to_vec()), |fix| {
        let good = Fix::parse(PATCH.as_bytes().to_vec()).unwrap();
        let difference = compare(&good, &fix).to_string();
        format!("{} patches, {}", fix.facts().patches.len(), difference.lines().count().min(20))
    })
}

fn json(bytes: &[u8]) -> String {
    fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> bool {
        serde_json::from_slice::<T>(bytes).is_ok()
    }
    let taken = [
        read::<wire::PutSchedule>(bytes),
        read::<wire::PutFix>(bytes),
        read::<wire::PutReceipt>(bytes),
        read::<wire::PutCredits>(bytes),
        read::<wire::OpenEmbargo>(bytes),
        read::<wire::SendRevision>(bytes),
    ];
    let instant = serde_json::from_slice::<wire::PutSchedule>(bytes);
    let instant =
        instant.map(|body| said(parse_instant(&body.lifts_at, Tz::Europe__Berlin), |_| "instant".to_owned()));
    format!("{taken:?} {instant:?}").chars().take(160).collect()
}

fn sealed(bytes: &[u8]) -> String {
    let kek = KeyEncryptionKey::from_random(Zeroizing::new([1; 32]));
    let key = DataKey::from_random(Zeroizing::new([2; 32]));
    let place = Place { table: "t", column: "c", row: "r" };
    let unwrapped = said(kek.unwrap("owner", &kek.id(), bytes), |_| "a key".to_owned());
    format!("{unwrapped} {}", said(key.open(place, bytes), |plain| plain.len().to_string()))
}

fn sealed_seeds() -> Vec<Vec<u8>> {
    let kek = KeyEncryptionKey::from_random(Zeroizing::new([1; 32]));
    let key = DataKey::from_random(Zeroizing::new([2; 32]));
    let place = Place { table: "t", column: "c", row: "r" };
    vec![key.seal(place, b"plain", [3; 24]), kek.wrap("owner", &key, [4; 24])]
}

fn part(part: &mail::Part) -> String {
    let text = part.text().map(|text| text.len().min(9));
    format!("{:?} {text:?} {}", part.encrypted().is_some(), part.attachments().len())
}

fn words(word: &str) -> String {
    let parsed = [
        word.parse::<Address>().is_ok(),
        word.parse::<EmbargoId>().is_ok(),
        word.parse::<ReceiptCode>().is_ok(),
        word.parse::<LiftWindow>().is_ok(),
        word.parse::<mail::HeaderText>().is_ok(),
        word.parse::<mail::MessageId>().is_ok(),
        KeyEncryptionKey::from_text(word).is_ok(),
        parse_duration(word).is_ok(),
    ];
    let instant = said(parse_instant(word, Tz::America__New_York), |_| "an instant".to_owned());
    let reply = outbound::Outcome::Refused { code: 552, reply: outbound::cleaned(word), permanent: true };
    format!("{parsed:?} {instant} {}", reply.is_about_size())
}

/// All parsers.
pub fn all() -> Vec<Target> {
    const MIB: usize = 1 << 20;
    let openpgp =
        &["-----BEGIN PGP MESSAGE-----\n\n", "-----END PGP MESSAGE-----\n", "\u{0}", "\n=aaaa\n"][..];
    let mut policy = Policy::preset("requests", Tz::Europe__Berlin).unwrap();
    policy.supported_branches = vec!["main".to_owned()];
    let policies = vec![serde_json::to_vec(&policy).unwrap()];
    let detached = PEOPLE.1.sign_detached(b"signed", now()).unwrap().into_bytes();
    let challenge =
        Challenge { origin: "https://embargo.example".to_owned(), nonce: [5; 32], expires: now() };
    let target = |name, seeds, words, most, run| Target { name, seeds, words, most, run };
    vec![
        target("certificate", certificates(), openpgp, MIB + 1, Box::new(certificate)),
        target("command", messages(), openpgp, MIB, Box::new(command)),
        target("detached", vec![detached.clone(), packets_of(&detached)], openpgp, MIB, Box::new(signature)),
        target(
            "packets",
            messages().into_iter().chain(certificates()).collect(),
            openpgp,
            MIB,
            Box::new(|bytes| format!("{:?}", packets(bytes)).chars().take(80).collect()),
        ),
        target(
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
        target(
            "fix",
            vec![PATCH.into(), PATCH.repeat(3).into()],
            &[
                "diff --git a/",
                "@@ -1,3 +1,3 @@\n",
                "rename from ",
                "GIT binary patch\n",
                "Subject: ",
                "=?utf-8?q?",
                "From ",
                "Binary files ",
                "new file mode 120000\n",
            ],
            MIB,
            Box::new(fix),
        ),
        target(
            "text",
            vec![TEXT.into()],
            &["'''", "\"\"\"", "[[", "]]", " = ", "{", "0x", "1979-05-27T07:32:00Z"],
            MIB,
            text(|written| {
                said(toml::from_str::<CaseText>(written), |read| {
                    format!("{} {}", read.affected.len(), read.cve.is_some())
                })
            }),
        ),
        target(
            "json",
            vec![
                br#"{"lifts_at":"2026-06-10 14:00","reason":"r"}"#.to_vec(),
                br#"{"branch":"main","mbox":"eA==","signature":"s"}"#.to_vec(),
                br#"{"revision":1,"code":"222-333"}"#.to_vec(),
            ],
            &["null", "1e999", "\\u0000", "[[[[[[[[", "2026-03-29 02:30", "tomorrow"],
            MIB,
            Box::new(json),
        ),
        target(
            "policy",
            policies,
            &["\"P7D\"", "null", "-1", "* * * * * *", "9223372036854775807"],
            MIB,
            Box::new(|bytes| {
                said(serde_json::from_slice::<Policy>(bytes), |policy| {
                    said(policy.validate(), |()| "valid".to_owned())
                })
            }),
        ),
        target(
            "challenge",
            vec![challenge.print().into()],
            &["origin: ", "expires: ", "nonce: ", "\r\n"],
            1 << 16,
            Box::new(|bytes| said(Challenge::parse(bytes), |_| "a challenge".to_owned())),
        ),
        target(
            "config",
            vec![CONFIG.into()],
            &["[mail.relay]\n", " = ", "listen", "tls = \"none\"", "proxies = []\n"],
            MIB,
            text(|written| {
                said(config::Config::parse(written, Path::new("embargod.toml")), |_| {
                    "a configuration".to_owned()
                })
            }),
        ),
        target(
            "mail",
            vec![ANSWER.into(), PATCH.into()],
            &["--b\r\n", "--b--\r\n", "boundary=", "quoted-printable", "=\r\n", "\r\n\r\n"],
            MIB,
            Box::new(|bytes| said(mail::read(bytes), |read| part(&read))),
        ),
        target("sealed", sealed_seeds(), &[], 1 << 16, Box::new(sealed)),
        target(
            "words",
            [
                "mara@requests.example",
                "abcd-efgh",
                "222-333",
                "0 0 14 * * Tue-Thu",
                "2026-06-10 14:00",
                "P7D",
                "<a@b.example>",
                "7d 2h",
                "552 5.3.4 too big",
            ]
            .map(|word| word.as_bytes().to_vec())
            .to_vec(),
            &["@", "Europe/Berlin", "+02:00", "*/", "\u{202e}", "\r\n", "99999999999999999999"],
            1 << 12,
            text(words),
        ),
        target(
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
    ]
}
