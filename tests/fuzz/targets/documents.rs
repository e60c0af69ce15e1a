//! What people write: patches, texts, requests, policies, configuration and mail.

use std::path::Path;

use chrono_tz::Tz;
use embargod::domain::case::CaseText;
use embargod::domain::fix::{Fix, compare};
use embargod::domain::instant::parse_instant;
use embargod::domain::policy::Policy;
use embargod::{config, mail, wire};

use super::{MIB, Target, said, text};

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

fn part(part: &mail::Part) -> String {
    let text = part.text().map(|text| text.len().min(9));
    format!("{:?} {text:?} {}", part.encrypted().is_some(), part.attachments().len())
}

/// The parsers of this file.
pub fn targets() -> Vec<Target> {
    let mut policy = Policy::preset("requests", Tz::Europe__Berlin).unwrap();
    policy.supported_branches = vec!["main".to_owned()];
    let policies = vec![serde_json::to_vec(&policy).unwrap()];
    vec![
        Target::new(
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
        Target::new(
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
        Target::new(
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
        Target::new(
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
        Target::new(
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
        Target::new(
            "mail",
            vec![ANSWER.into(), PATCH.into()],
            &["--b\r\n", "--b--\r\n", "boundary=", "quoted-printable", "=\r\n", "\r\n\r\n"],
            MIB,
            Box::new(|bytes| said(mail::read(bytes), |read| part(&read))),
        ),
    ]
}
