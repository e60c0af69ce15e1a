//! Every encoding is planted and found; noise is not.

use std::fmt::Write as _;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::{Canary, Encoding, Finding, LENGTH, Scanner, plant};
use crate::entropy::Entropy;

fn canaries(count: usize) -> Vec<Canary> {
    let entropy = Entropy::seeded(11);
    (0..count).map(|n| Canary::from_random(format!("word.{n}"), entropy.bytes::<LENGTH>())).collect()
}

fn noise(length: usize) -> Vec<u8> {
    let entropy = Entropy::seeded(23);
    (0..length.div_ceil(4096)).flat_map(|_| entropy.bytes::<4096>()).take(length).collect()
}

fn found(scanner: &Scanner, bytes: &[u8]) -> Vec<(String, Encoding)> {
    scanner
        .scan_bytes("here", bytes)
        .into_iter()
        .inspect(|finding| assert_eq!(finding.place, "here"))
        .map(|finding| (finding.word_name, finding.encoding))
        .collect()
}

/// Building a scanner costs more than a short scan; the tests that need no other one share this.
fn scanner() -> &'static Scanner {
    static SCANNER: LazyLock<Scanner> = LazyLock::new(|| Scanner::new(canaries(3)));
    &SCANNER
}

/// Asserts that one word is found in `bytes`, in `encoding` and in no other.
fn assert_only(bytes: &[u8], encoding: Encoding) {
    assert_eq!(found(scanner(), bytes), [("word.1".to_owned(), encoding)]);
}

fn word() -> String {
    canaries(3)[1].word().to_owned()
}

fn each(escape: impl Fn(u8) -> String) -> String {
    word().bytes().map(escape).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::GzBuilder::new()
        .filename("dump.sql")
        .comment("nightly")
        .extra(*b"extra")
        .write(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_encoding_is_found_in_the_middle_of_noise_and_named_rightly() {
    let noise = noise(5000);
    for encoding in Encoding::ALL {
        let mut bytes = noise.clone();
        let planted = [b" ".to_vec(), plant(&canaries(3)[1], encoding), b" ".to_vec()].concat();
        bytes.splice(2500..2500, planted);
        assert_only(&bytes, encoding);
    }
}

#[test]
fn noise_holds_nothing() {
    assert_eq!(found(&Scanner::new(canaries(50)), &noise(1 << 20)), []);
}

#[test]
fn any_letter_case_is_seen_and_eleven_characters_are_not_enough() {
    let word = word();
    let mixed: String = word
        .chars()
        .enumerate()
        .map(|(n, character)| if n % 2 == 0 { character.to_ascii_uppercase() } else { character })
        .collect();
    assert_only(mixed.as_bytes(), Encoding::LetterCase);
    for offset in 0..=LENGTH - 12 {
        assert_only(word[offset..offset + 12].to_uppercase().as_bytes(), Encoding::Fragment);
    }
    for offset in 0..=LENGTH - 11 {
        assert_eq!(found(scanner(), &word.as_bytes()[offset..offset + 11]), []);
    }
}

#[test]
fn base64_is_seen_at_every_alignment_in_both_alphabets_and_across_lines() {
    for before in 0..7 {
        for word in [word(), word().to_uppercase()] {
            let text = [&vec![0xff; before], word.as_bytes(), b"\xff\xfe\xfd and more"].concat();
            assert_only(base64_simd::URL_SAFE_NO_PAD.encode_to_string(&text).as_bytes(), Encoding::Base64);
            let encoded = base64_simd::STANDARD.encode_to_string(&text);
            assert_only(encoded.as_bytes(), Encoding::Base64);
            for (width, line_break) in [(4, "\n"), (11, "\r\n"), (16, "\r\n> \t"), (20, "\\n"), (7, "\\r\\n")]
            {
                let mut lines = String::new();
                for (n, character) in encoded.chars().enumerate() {
                    lines.push(character);
                    if n % width == width - 1 {
                        lines.push_str(line_break);
                    }
                }
                assert_only(lines.as_bytes(), Encoding::Base64);
            }
        }
    }
}

#[test]
fn hexadecimal_is_seen_in_both_cases_and_across_lines() {
    for hex in [each(|byte| format!("{byte:02x}")), each(|byte| format!("{byte:02X}"))] {
        assert_only(hex.as_bytes(), Encoding::Hex);
        assert_only(format!("{}\n  {}", &hex[..21], &hex[21..]).as_bytes(), Encoding::Hex);
    }
    let upper = word().to_uppercase().bytes().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    assert_only(upper.as_bytes(), Encoding::Hex);
}

#[test]
fn utf16_is_seen_in_both_byte_orders_and_any_letter_case() {
    let word = word().to_uppercase();
    let little: Vec<u8> = word.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = word.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_only(&little, Encoding::Utf16);
    assert_only(&big, Encoding::Utf16);
}

#[test]
fn escapes_are_seen_in_every_spelling() {
    assert_only(each(|byte| format!("%{byte:02x}")).as_bytes(), Encoding::Percent);
    assert_only(each(|byte| format!("&#{byte};")).as_bytes(), Encoding::HtmlReference);
    assert_only(each(|byte| format!("&#x{byte:X};")).as_bytes(), Encoding::HtmlReference);
    assert_only(each(|byte| format!("&#X{byte:05x};")).as_bytes(), Encoding::HtmlReference);
    assert_only(each(|byte| format!("&#{byte:03}")).as_bytes(), Encoding::HtmlReference);
    assert_only(each(|byte| format!("\\u{byte:04x}")).as_bytes(), Encoding::JsonEscape);
    assert_only(each(|byte| format!("={byte:02X}")).as_bytes(), Encoding::QuotedPrintable);
}

#[test]
fn a_word_escaped_only_here_and_there_is_seen_through() {
    let escaped_at = |at: usize, escape: &dyn Fn(u8) -> String| {
        let word = word();
        format!("lead {}{}{} tail", &word[..at], escape(word.as_bytes()[at]), &word[at + 1..])
    };
    for at in [11, 12] {
        // Eleven characters or fewer stand on one side; the other side alone may already be a fragment.
        for (escape, encoding) in [
            (&(|byte| format!("%{byte:02X}")) as &dyn Fn(u8) -> String, Encoding::Percent),
            (&|byte| format!("&#{byte};"), Encoding::HtmlReference),
            (&|byte| format!("\\u{byte:04X}"), Encoding::JsonEscape),
            (&|byte| format!("={byte:02X}"), Encoding::QuotedPrintable),
        ] {
            let seen = found(scanner(), escaped_at(at, escape).as_bytes());
            assert!(seen.contains(&("word.1".to_owned(), encoding)), "{encoding} at {at}: {seen:?}");
        }
    }
}

#[test]
fn a_soft_line_break_hides_nothing() {
    for line_break in ["=\r\n", "=\n", "= \t\r\n"] {
        let text = format!("{}{line_break}{}", &word()[..11], &word()[11..22]);
        let seen = found(scanner(), text.as_bytes());
        assert!(seen.contains(&("word.1".to_owned(), Encoding::QuotedPrintable)), "{line_break:?}: {seen:?}");
    }
}

#[test]
fn compressed_streams_are_opened_also_inside_each_other_and_when_cut_short() {
    let text =
        [noise(3000).as_slice(), each(|byte| format!("%{byte:02x}")).as_bytes(), &noise(2000)].concat();
    let stream = gzip(&text);
    let behind_noise = [noise(777), stream.clone(), noise(333)].concat();
    assert_only(&behind_noise, Encoding::Gzip);
    assert_only(&gzip(&gzip(&stream)), Encoding::Gzip);
    assert_eq!(found(scanner(), &gzip(&gzip(&gzip(&stream)))), [], "four deep is too deep");
    let stream = gzip(word().repeat(3).as_bytes());
    assert_only(&stream[..stream.len() - 9], Encoding::Gzip);
    // Something that only looks like a stream right before a real one must not swallow it.
    assert_only(&[b"\x1f\x8b\x08\x00\x78\x9c".to_vec(), stream].concat(), Encoding::Gzip);
}

#[test]
fn names_of_files_and_folders_and_what_links_point_to_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let words = canaries(4);
    std::fs::create_dir_all(directory.path().join(words[0].word()).join("deep")).unwrap();
    std::fs::write(directory.path().join(words[0].word()).join("deep/data"), words[1].word()).unwrap();
    std::fs::write(directory.path().join(format!("{}.db", words[2].word().to_uppercase())), "").unwrap();
    std::os::unix::fs::symlink(words[3].word(), directory.path().join("link")).unwrap();
    let scanner = Scanner::new(words.clone());
    let findings = scanner.scan_tree("state", directory.path()).unwrap();
    let expect = |word: usize, place: String, encoding| Finding {
        word_name: words[word].name().to_owned(),
        place,
        encoding,
    };
    let upper = words[2].word().to_uppercase();
    let mut expected = vec![
        expect(0, format!("the name state/{}", words[0].word()), Encoding::Plain),
        expect(1, format!("state/{}/deep/data", words[0].word()), Encoding::Plain),
        expect(2, format!("the name state/{upper}.db"), Encoding::LetterCase),
        expect(3, "state/link".to_owned(), Encoding::Plain),
    ];
    expected.sort();
    let mut findings = findings;
    findings.sort();
    assert_eq!(findings, expected);
    assert!(scanner.scan_tree("gone", &directory.path().join("gone")).is_err());
}

#[test]
fn the_control_finds_every_plant_and_says_what_a_blind_scanner_missed() {
    let scanner = Scanner::new(canaries(5));
    let noise = noise(20_000);
    let places =
        [("noise", noise.as_slice()), ("nothing", b""), ("text", b"Lorem ipsum\n=3D %41".as_slice())];
    assert_eq!(scanner.control(&places), Ok(5 * Encoding::ALL.len() * 3));

    let blind = Scanner { automaton: super::patterns::automaton(["never"]), ..Scanner::new(canaries(2)) };
    let missed = blind.control(&places[..1]).unwrap_err();
    assert_eq!(missed.len(), 2 * Encoding::ALL.len());
    assert_eq!(
        missed[0].to_string(),
        "word.0 was planted in noise as plain text and not found; a clean scan of that place proves nothing"
    );
}

#[test]
fn a_finding_names_the_word_and_does_not_repeat_it() {
    let scanner = Scanner::new(canaries(1));
    let findings = scanner.scan_bytes("the log", scanner.words()[0].word().as_bytes());
    assert_eq!(findings[0].to_string(), "word.0 is readable in the log as plain text");
}

proptest! {
    #[test]
    fn whatever_surrounds_it_a_word_in_plain_text_is_found(
        before in prop::collection::vec(any::<u8>(), 0..200),
        after in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [before.as_slice(), word().as_bytes(), &after].concat();
        let seen = found(scanner(), &bytes);
        prop_assert!(seen.contains(&("word.1".to_owned(), Encoding::Plain)), "{:?}", seen);
    }

    #[test]
    fn no_bytes_make_the_scanner_stumble(
        pieces in prop::collection::vec(
            prop_oneof![
                Just(b"%".to_vec()), Just(b"&#x".to_vec()), Just(b"&#9".to_vec()), Just(b"\\u00".to_vec()),
                Just(b"=".to_vec()), Just(b"=\r".to_vec()), Just(b"\\n".to_vec()), Just(b"6".to_vec()),
                Just(b"\x1f\x8b\x08".to_vec()), Just(b"\x78\x9c".to_vec()), Just(b"\x08\x1c\xff".to_vec()),
                prop::collection::vec(any::<u8>(), 0..5),
            ],
            0..60,
        ),
    ) {
        prop_assert_eq!(found(scanner(), &pieces.concat()), []);
    }
}
