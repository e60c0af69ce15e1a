//! What a key can do, judged by its algorithm alone, and what people call it.

use openpgp::crypto::mpi::PublicKey;
use openpgp::packet::Key;
use openpgp::packet::key::{KeyParts, KeyRole};
use openpgp::types::{Curve, PublicKeyAlgorithm};
use sequoia_openpgp as openpgp;

/// The curve of a key that is written with one.
fn curve<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> Option<&Curve> {
    match key.mpis() {
        PublicKey::ECDH { curve, .. } | PublicKey::ECDSA { curve, .. } | PublicKey::EdDSA { curve, .. } => {
            Some(curve)
        }
        _ => None,
    }
}

/// Whether this build can calculate with the key: algorithm and, where there is one, curve.
pub(super) fn is_supported<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> bool {
    key.pk_algo().is_supported() && curve(key).is_none_or(Curve::is_supported)
}

/// Whether a signature by the key takes several times as long to verify as one by another key of today.
pub(super) fn is_slow<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> bool {
    matches!(curve(key), Some(Curve::NistP384 | Curve::NistP521))
}

/// Whether session keys can be encrypted to the key, whatever its flags say.
pub(super) fn can_encrypt<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> bool {
    key.pk_algo().for_encryption()
}

/// Whether this is Ed25519 in the form that RFC 4880 programs read.
pub(super) fn is_classic_ed25519<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> bool {
    key.pk_algo() == PublicKeyAlgorithm::EdDSA && curve(key) == Some(&Curve::Ed25519)
}

/// Whether this is X25519 in the form that RFC 4880 programs read.
pub(super) fn is_classic_x25519<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> bool {
    key.pk_algo() == PublicKeyAlgorithm::ECDH && curve(key) == Some(&Curve::Cv25519)
}

/// The name people use: `Cv25519`, `RSA 3072`, `P-256`.
pub(super) fn name<P: KeyParts, R: KeyRole>(key: &Key<P, R>) -> String {
    #[expect(deprecated, reason = "old keys still carry the retired RSA and ElGamal numbers")]
    let family = match key.pk_algo() {
        PublicKeyAlgorithm::RSAEncryptSign | PublicKeyAlgorithm::RSAEncrypt | PublicKeyAlgorithm::RSASign => {
            "RSA"
        }
        PublicKeyAlgorithm::ElGamalEncrypt | PublicKeyAlgorithm::ElGamalEncryptSign => "ElGamal",
        PublicKeyAlgorithm::DSA => "DSA",
        other => {
            return match curve(key) {
                Some(Curve::NistP256) => "P-256".to_owned(),
                Some(Curve::NistP384) => "P-384".to_owned(),
                Some(Curve::NistP521) => "P-521".to_owned(),
                Some(Curve::Ed25519) => "Ed25519".to_owned(),
                Some(Curve::Cv25519) => "Cv25519".to_owned(),
                Some(Curve::BrainpoolP256) => "brainpoolP256r1".to_owned(),
                Some(Curve::BrainpoolP384) => "brainpoolP384r1".to_owned(),
                Some(Curve::BrainpoolP512) => "brainpoolP512r1".to_owned(),
                Some(_) => "an unknown curve".to_owned(),
                None => other.to_string(),
            };
        }
    };
    match key.mpis().bits() {
        Some(bits) => format!("{family} {bits}"),
        None => family.to_owned(),
    }
}
