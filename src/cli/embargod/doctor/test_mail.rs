//! The test mail: sent only when it is asked for, on the way that notices take.

use chrono::{DateTime, Utc};

use super::super::console::settings;
use super::super::failure::Failure;
use super::{Finding, relay};
use crate::app::test_mail::test_mail;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::address::Address;
use crate::entropy::Entropy;
use crate::outbound::Outcome;
use crate::outbound::pool::{Item, RelayPool};
use crate::outbound::smtp::RelayError;

/// Sends one to each of `recipients`, and says of each what the relay said.
pub(super) fn send(
    config: &Config,
    recipients: Vec<Address>,
    practice: bool,
    now: DateTime<Utc>,
) -> Result<Vec<Finding>, Failure> {
    if recipients.is_empty() {
        let cure = "name somebody: embargod doctor --mail ADDRESS";
        return Ok(vec![Finding::fail("there is no maintainer to send a test mail to", cure)]);
    }
    let settings = settings(config, practice)?;
    let mut items = Vec::new();
    for to in recipients {
        let mail = test_mail(&settings, &to, now, &Entropy::System)
            .map_err(|error| Failure::unfit(error.to_string(), "correct [mail] from"))?;
        items.push(Item { id: to.clone(), from: settings.from.clone(), to, parts: vec![mail.into()] });
    }
    let mut findings = match relay::runtime()?.block_on(carry(config, items)) {
        Ok(outcomes) => outcomes.iter().map(|(to, outcome)| finding(&settings.from, to, outcome)).collect(),
        Err(error) => vec![Finding::fail(error.to_string(), "correct [mail.relay]")],
    };
    findings.sort_by(|one, other| one.text.cmp(&other.text));
    Ok(findings)
}

async fn carry(config: &Config, items: Vec<Item<Address>>) -> Result<Vec<(Address, Outcome)>, RelayError> {
    let pool = RelayPool::new(&config.mail.relay, Clock::System, Entropy::System)?;
    let mut outcomes = pool.send_batch(items);
    let mut seen = Vec::new();
    while let Some(outcome) = outcomes.recv().await {
        seen.push(outcome);
    }
    pool.close().await;
    Ok(seen)
}

fn finding(from: &Address, to: &Address, outcome: &Outcome) -> Finding {
    let (to, from) = (to.as_str(), from.as_str());
    match outcome {
        Outcome::Accepted { reply } => Finding::ok(format!("test mail to {to} accepted: {reply}")),
        Outcome::Refused { reply, .. } => Finding::fail(
            format!("test mail to {to} refused: {reply}"),
            format!(
                "ask the relay's operator to let {from} send to {to}, or correct [mail] from, or user and password_file in [mail.relay]"
            ),
        ),
        Outcome::NotSent { reason } => Finding::fail(
            format!("test mail to {to} not sent: {reason}"),
            "correct [mail.relay], or wait until the relay is back",
        ),
        Outcome::Uncertain { reason } => Finding::fail(
            format!("test mail to {to} may or may not have arrived: {reason}"),
            "look into the mailbox, and try again",
        ),
    }
}
