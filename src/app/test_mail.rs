//! The operator's test mail. It travels in clear, so it says nothing but that mail arrives.

use chrono::{DateTime, Utc};

use super::Settings;
use crate::domain::address::Address;
use crate::domain::text::InvalidText;
use crate::entropy::Entropy;
use crate::mail::{HeaderText, MessageId, OuterHead, plain_message};

/// The bytes of a test mail to `to`, with CRLF line ends.
pub fn test_mail(
    settings: &Settings,
    to: &Address,
    now: DateTime<Utc>,
    entropy: &Entropy,
) -> Result<Vec<u8>, InvalidText> {
    let head = OuterHead {
        from: settings.from.clone(),
        to: to.clone(),
        reply_to: None,
        subject: "Test mail: nothing to do".parse::<HeaderText>()?,
        date: now,
        message_id: MessageId::from_random(entropy.bytes(), &settings.from),
        in_reply_to: None,
        list_id: None,
        practice: settings.practice,
    };
    let text = format!(
        "This is a test. The operator of {} asked whether its mail reaches you:\n\n  embargod doctor --mail\n\n\
         It does. There is nothing to do, and nothing to answer.\n",
        settings.base_url
    );
    Ok(plain_message(&head, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_mail_names_the_server_and_no_person_but_the_recipient() {
        let settings = Settings {
            base_url: "https://embargo.upstream.example".to_owned(),
            from: "embargo@upstream.example".parse().unwrap(),
            id_prefix: "EMB".to_owned(),
            max_mail_bytes: 1 << 20,
            practice: false,
        };
        let to = "ada@upstream.example".parse().unwrap();
        let now = DateTime::from_timestamp(0, 0).unwrap();
        let mail = String::from_utf8(test_mail(&settings, &to, now, &Entropy::seeded(1)).unwrap()).unwrap();
        assert!(
            mail.contains("\r\nTo: ada@upstream.example\r\nSubject: Test mail: nothing to do\r\n"),
            "{mail}"
        );
        assert!(mail.contains("Auto-Submitted: auto-generated\r\n"), "{mail}");
        assert!(mail.contains("The operator of https://embargo.upstream.example asked"), "{mail}");
        assert!(!mail.contains("Practice"), "{mail}");
    }
}
