//! The positive control: proof that a scan that found nothing would have found something.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::patterns::hex;
use super::{Canary, Encoding, FRAGMENT, Finding, Scanner};

/// A planted word that the scanner did not see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} was planted in {} as {} and not found; a clean scan of that place proves nothing",
    .0.word_name, .0.place, .0.encoding
)]
pub struct Missed(
    /// What should have been found.
    pub Finding,
);

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 12] = [
        Self::Plain,
        Self::LetterCase,
        Self::Fragment,
        Self::Base64,
        Self::Hex,
        Self::Utf16,
        Self::Percent,
        Self::HtmlReference,
        Self::JsonEscape,
        Self::QuotedPrintable,
        Self::Gzip,
        Self::Zlib,
    ];
}

impl Scanner {
    /// Plants every word in every encoding into a copy of each place's bytes, and looks for them there.
    ///
    /// `places` are names and bytes, best those that were scanned clean: so it also shows that nothing in
    /// them gets in the scanner's way. Returns how many plants were found.
    ///
    /// # Errors
    ///
    /// The plants that were not found. Then no clean scan by this scanner proves anything.
    pub fn control(&self, places: &[(&str, &[u8])]) -> Result<usize, Vec<Missed>> {
        let mut found = 0;
        let mut missed = Vec::new();
        for (place, bytes) in places {
            let seen: BTreeSet<_> = self.scan_bytes(place, &self.planted(bytes)).into_iter().collect();
            for (canary, encoding) in self.plants() {
                let (word_name, place) = (canary.name().to_owned(), (*place).to_owned());
                let plant = Finding { word_name, place, encoding };
                if seen.contains(&plant) {
                    found += 1;
                } else {
                    missed.push(Missed(plant));
                }
            }
        }
        if missed.is_empty() { Ok(found) } else { Err(missed) }
    }

    fn plants(&self) -> impl Iterator<Item = (&Canary, Encoding)> {
        self.words().iter().flat_map(|canary| Encoding::ALL.map(|encoding| (canary, encoding)))
    }

    /// `bytes` with a plant after each of as many equal pieces as there are plants.
    fn planted(&self, bytes: &[u8]) -> Vec<u8> {
        let plants: Vec<_> = self.plants().map(|(canary, encoding)| plant(canary, encoding)).collect();
        let piece = bytes.len().div_ceil(plants.len().max(1)).max(1);
        let mut pieces = bytes.chunks(piece);
        let mut planted = Vec::with_capacity(bytes.len() + plants.len() * 64);
        for plant in plants {
            planted.extend_from_slice(pieces.next().unwrap_or_default());
            // A blank on either side keeps neighbours from becoming part of the plant.
            planted.push(b' ');
            planted.extend_from_slice(&plant);
            planted.push(b' ');
        }
        planted
    }
}

/// The canary's word in one encoding, or the part of it that makes a [`Encoding::Fragment`].
pub fn plant(canary: &Canary, encoding: Encoding) -> Vec<u8> {
    let word = canary.word();
    let escaped = |escape: fn(&mut String, u8)| {
        let mut text = String::new();
        word.bytes().for_each(|byte| escape(&mut text, byte));
        text.into_bytes()
    };
    match encoding {
        Encoding::Plain => word.as_bytes().to_vec(),
        Encoding::LetterCase => word.to_ascii_uppercase().into_bytes(),
        Encoding::Fragment => word.as_bytes()[5..5 + FRAGMENT].to_vec(),
        Encoding::Base64 => base64_simd::STANDARD.encode_to_string(word).into_bytes(),
        Encoding::Hex => hex(word).into_bytes(),
        Encoding::Utf16 => word.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Encoding::Percent => escaped(|text, byte| put(text, format_args!("%{byte:02X}"))),
        Encoding::HtmlReference => escaped(|text, byte| put(text, format_args!("&#{byte};"))),
        Encoding::JsonEscape => escaped(|text, byte| put(text, format_args!("\\u{byte:04x}"))),
        Encoding::QuotedPrintable => escaped(|text, byte| put(text, format_args!("={byte:02X}"))),
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder
                .write_all(word.as_bytes())
                .and_then(|()| encoder.finish())
                .expect("memory takes every write")
        }
        Encoding::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder
                .write_all(word.as_bytes())
                .and_then(|()| encoder.finish())
                .expect("memory takes every write")
        }
    }
}

fn put(text: &mut String, piece: std::fmt::Arguments<'_>) {
    text.write_fmt(piece).expect("a string takes every write");
}
