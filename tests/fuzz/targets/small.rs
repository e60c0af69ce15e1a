//! Sealed columns and single words.

use chrono_tz::Tz;
use embargod::domain::address::Address;
use embargod::domain::id::{EmbargoId, ReceiptCode};
use embargod::domain::instant::{parse_duration, parse_instant};
use embargod::domain::policy::LiftWindow;
use embargod::vault::{DataKey, KeyEncryptionKey, Place};
use embargod::{mail, outbound};
use zeroize::Zeroizing;

use super::{Target, said, text};

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

/// The parsers of this file.
pub fn targets() -> Vec<Target> {
    vec![
        Target::new("sealed", sealed_seeds(), &[], 1 << 16, Box::new(sealed)),
        Target::new(
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
    ]
}
