//! What gpg says on its status channel about a message: whether it was encrypted, and who signed it.

use super::SealTrouble;

const PREFIX: &str = "[GNUPG:] ";

/// Whether a message was encrypted and carries one good signature, made by the certificate `pinned`.
pub(super) fn judge(status: &str, pinned: &str) -> Result<(), SealTrouble> {
    let mut encrypted = false;
    let mut good = 0;
    let mut signers = Vec::new();
    let mut trouble = None;
    for line in status.lines().filter_map(|line| line.strip_prefix(PREFIX)) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "DECRYPTION_OKAY" => encrypted = true,
            "GOODSIG" => good += 1,
            // The last field is the fingerprint of the primary key, the first that of the key that signed.
            "VALIDSIG" => signers.push((*words.get(10).or(words.get(1)).unwrap_or(&"")).to_owned()),
            "BADSIG" => trouble = Some(SealTrouble::Bad),
            "EXPSIG" | "EXPKEYSIG" | "REVKEYSIG" => trouble = trouble.or(Some(SealTrouble::KeyEnded)),
            "ERRSIG" => {
                trouble = trouble.or_else(|| Some(SealTrouble::Unknown { pinned: pinned.to_owned() }));
            }
            _ => {}
        }
    }
    if !encrypted {
        return Err(SealTrouble::NotEncrypted);
    }
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    match signers.as_slice() {
        [] => Err(SealTrouble::NotSigned),
        [only] if good == 1 && only.eq_ignore_ascii_case(pinned) => Ok(()),
        [first, rest @ ..] => {
            let other = rest.iter().find(|signer| !signer.eq_ignore_ascii_case(pinned)).unwrap_or(first);
            Err(SealTrouble::Other { found: other.clone(), pinned: pinned.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "EF12000000000000000000000000000000000001";
    const SUBKEY: &str = "5E1C000000000000000000000000000000000002";

    fn status(lines: &[&str]) -> String {
        lines.iter().flat_map(|line| [PREFIX, *line, "\n"]).collect()
    }

    fn valid(key: &str, primary: &str) -> String {
        format!("VALIDSIG {key} 2026-06-01 1780000000 0 4 0 22 10 00 {primary}")
    }

    #[test]
    fn a_signature_by_a_subkey_counts_for_the_pinned_primary_key() {
        let lines =
            ["DECRYPTION_OKAY", "NEWSIG", "GOODSIG 5E1C S", &valid(SUBKEY, SERVER), "TRUST_UNDEFINED 0 pgp"];
        assert_eq!(judge(&status(&lines), SERVER), Ok(()));
    }

    #[test]
    fn a_good_signature_by_somebody_else_is_not_good_enough() {
        let other = valid(SERVER, SUBKEY);
        let lines = ["DECRYPTION_OKAY", "GOODSIG EF12 S", &other];
        let trouble = judge(&status(&lines), SERVER).unwrap_err();
        assert_eq!(trouble, SealTrouble::Other { found: SUBKEY.to_owned(), pinned: SERVER.to_owned() });
        let own = valid(SERVER, SERVER);
        let both = ["DECRYPTION_OKAY", "GOODSIG EF12 S", &own, "GOODSIG EF12 S", &other];
        assert!(matches!(judge(&status(&both), SERVER), Err(SealTrouble::Other { .. })));
    }

    #[test]
    fn what_is_signed_but_not_encrypted_or_encrypted_but_not_signed_is_refused() {
        let valid = valid(SUBKEY, SERVER);
        let signed = status(&["GOODSIG 5E1C S", &valid]);
        assert_eq!(judge(&signed, SERVER), Err(SealTrouble::NotEncrypted));
        assert_eq!(judge(&status(&["DECRYPTION_OKAY"]), SERVER), Err(SealTrouble::NotSigned));
        // A user id that looks like a status line stands behind another prefix.
        let forged = format!("gpg: [GNUPG:] {valid}\n[GNUPG:] DECRYPTION_OKAY\n");
        assert_eq!(judge(&forged, SERVER), Err(SealTrouble::NotSigned));
    }

    #[test]
    fn an_expired_key_a_bad_and_an_unknown_signature_are_told_apart() {
        let valid = valid(SUBKEY, SERVER);
        let judged = |line: &str| judge(&status(&["DECRYPTION_OKAY", line, &valid]), SERVER).unwrap_err();
        assert_eq!(judged("EXPKEYSIG 5E1C S"), SealTrouble::KeyEnded);
        assert_eq!(judged("BADSIG 5E1C S"), SealTrouble::Bad);
        assert!(matches!(judged("ERRSIG 5E1C 22 10 00 1780000000 9 -"), SealTrouble::Unknown { .. }));
    }
}
