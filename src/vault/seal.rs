//! XChaCha20-Poly1305 over values and data keys, with the place as associated data.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::VaultError;

/// The first byte of everything sealed: which algorithm, so that another can follow.
const XCHACHA20_POLY1305: u8 = 1;
const NONCE: usize = 24;

/// Where a sealed value lives. It opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's primary key.
    pub row: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        format!("embargod/1\0{}\0{}\0{}", self.table, self.column, self.row).into_bytes()
    }
}

/// Seals the values of one embargo, or of the roster.
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// A key made of random bytes.
    pub fn from_random(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Seals `plaintext` for `place`. `nonce` must be fresh.
    pub fn seal(&self, place: Place<'_>, plaintext: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
        seal(&self.0, &place.associated_data(), plaintext, nonce)
    }

    /// Opens what was sealed for `place`.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        open(&self.0, &place.associated_data(), sealed).ok_or_else(|| VaultError::Damaged {
            table: place.table,
            column: place.column,
            row: place.row.to_owned(),
        })
    }

    /// Whether it is the same key.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// A keyed fingerprint of `value`, equal for equal values of the same `kind`, for look-ups.
    pub fn lookup(&self, kind: &str, value: &str) -> Vec<u8> {
        let mut mac = mac(&self.0[..]);
        mac.update(format!("embargod/1 lookup\0{kind}\0{value}").as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Wraps data keys. It lives in a file or credential of its own, never in the database.
pub struct KeyEncryptionKey(Zeroizing<[u8; 32]>);

impl KeyEncryptionKey {
    /// A key made of random bytes.
    pub fn from_random(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Reads the text form: 64 hexadecimal digits, surrounded by nothing but white space.
    pub fn from_text(text: &str) -> Result<Self, VaultError> {
        let text = text.trim().as_bytes();
        let mut key = Zeroizing::new([0_u8; 32]);
        if text.len() != 64 {
            return Err(VaultError::MalformedKey);
        }
        for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
            let digit =
                |character: u8| char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            match (digit(pair[0]), digit(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(VaultError::MalformedKey),
            }
        }
        Ok(Self(key))
    }

    /// Every key in `text`, one on each line that is not empty. During a rotation there are two.
    pub fn all_from_text(text: &str) -> Result<Vec<Self>, VaultError> {
        let keys: Vec<Self> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(Self::from_text)
            .collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(VaultError::MalformedKey) } else { Ok(keys) }
    }

    /// The text form, with a line end.
    pub fn to_text(&self) -> Zeroizing<String> {
        use std::fmt::Write as _;
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.0.iter() {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        }
        text.push('\n');
        text
    }

    /// A name for this key that tells nothing about it.
    pub fn id(&self) -> String {
        let digest = Sha256::new()
            .chain_update(b"embargod/1 key-encryption key\0")
            .chain_update(&self.0[..])
            .finalize();
        crate::domain::hex(&digest[..6])
    }

    /// Wraps the data key of `owner`.
    pub fn wrap(&self, owner: &str, key: &DataKey, nonce: [u8; NONCE]) -> Vec<u8> {
        seal(&self.0, format!("embargod/1 data key\0{owner}").as_bytes(), &key.0[..], nonce)
    }

    /// Unwraps the data key of `owner`, which the key named `kek_id` wrapped.
    pub fn unwrap(&self, owner: &str, kek_id: &str, wrapped: &[u8]) -> Result<DataKey, VaultError> {
        if self.id() != kek_id {
            return Err(VaultError::WrongKey {
                owner: owner.to_owned(),
                kek: self.id(),
                wrapped_by: kek_id.to_owned(),
            });
        }
        let damaged = || damaged_key(owner);
        let associated = format!("embargod/1 data key\0{owner}");
        let opened = Zeroizing::new(open(&self.0, associated.as_bytes(), wrapped).ok_or_else(damaged)?);
        let bytes: [u8; 32] = opened.as_slice().try_into().map_err(|_| damaged())?;
        Ok(DataKey(Zeroizing::new(bytes)))
    }
}

/// A wrapped data key that is not what was written there.
pub(super) fn damaged_key(owner: &str) -> VaultError {
    VaultError::Damaged { table: "data_keys", column: "wrapped", row: owner.to_owned() }
}

fn seal(key: &[u8; 32], associated: &[u8], plaintext: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
    let cipher = XChaCha20Poly1305::new(key.into());
    let payload = Payload { msg: plaintext, aad: associated };
    let ciphertext =
        cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("the cipher takes messages of this size");
    let mut sealed = Vec::with_capacity(1 + NONCE + ciphertext.len());
    sealed.push(XCHACHA20_POLY1305);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    sealed
}

fn open(key: &[u8; 32], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (algorithm, rest) = sealed.split_first()?;
    if *algorithm != XCHACHA20_POLY1305 || rest.len() < NONCE {
        return None;
    }
    let (nonce, ciphertext) = rest.split_at(NONCE);
    let payload = Payload { msg: ciphertext, aad: associated };
    XChaCha20Poly1305::new(key.into()).decrypt(XNonce::from_slice(nonce), payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'_> = Place { table: "fixes", column: "content", row: "f1" };

    #[test]
    fn a_value_opens_in_its_own_place_only() {
        let key = DataKey::from_random(Zeroizing::new([7; 32]));
        let sealed = key.seal(HERE, b"patch", [1; NONCE]);
        assert_eq!(key.open(HERE, &sealed).unwrap(), b"patch");
        assert!(key.open(Place { row: "f2", ..HERE }, &sealed).is_err());
        assert!(key.open(Place { column: "facts", ..HERE }, &sealed).is_err());
        assert!(DataKey::from_random(Zeroizing::new([8; 32])).open(HERE, &sealed).is_err());
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let key = DataKey::from_random(Zeroizing::new([7; 32]));
        let sealed = key.seal(HERE, b"patch", [1; NONCE]);
        for index in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[index / 8] ^= 1 << (index % 8);
            assert!(key.open(HERE, &damaged).is_err(), "bit {index}");
        }
        assert!(key.open(HERE, &[]).is_err());
    }

    #[test]
    fn a_data_key_comes_back_from_its_own_wrapping_and_owner() {
        let kek = KeyEncryptionKey::from_text(&"0f".repeat(32)).unwrap();
        let wrapped = kek.wrap("roster", &DataKey::from_random(Zeroizing::new([9; 32])), [2; NONCE]);
        let key = kek.unwrap("roster", &kek.id(), &wrapped).unwrap();
        assert_eq!(
            key.lookup("address", "a"),
            DataKey::from_random(Zeroizing::new([9; 32])).lookup("address", "a")
        );
        assert!(kek.unwrap("b7k2-9fq1", &kek.id(), &wrapped).is_err());
        let other = KeyEncryptionKey::from_text(&"0e".repeat(32)).unwrap();
        assert!(matches!(other.unwrap("roster", &kek.id(), &wrapped), Err(VaultError::WrongKey { .. })));
        assert_eq!(KeyEncryptionKey::from_text(&kek.to_text()).unwrap().id(), kek.id());
        assert!(KeyEncryptionKey::from_text("secret").is_err());
    }
}
