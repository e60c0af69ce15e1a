//! `embargod hold`: stopping lifts, announcements and mail by hand, and letting them go on.

use std::process::ExitCode;

use chrono::SecondsFormat;
use clap::Subcommand;
use serde::Serialize;

use super::console::{Console, Global};
use super::failure::Failure;
use super::screen::{self, item, say};
use crate::app::Hold;

/// Commands about holds.
#[derive(Debug, Subcommand)]
pub(super) enum HoldCommand {
    /// From now on nothing lifts, nothing is announced and nothing is sent, on any replica.
    #[command(
        after_help = "Example:\n  embargod hold place --reason \"the relay may have been broken into\"\n\n\
        Reading, editing and choosing dates go on, and alarms still reach the maintainers. What becomes due \
        meanwhile happens when the hold is released; a message that is on the wire at this moment arrives."
    )]
    Place {
        /// Why, for whoever finds the hold: one line. Operators and maintainers read it.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Lists the holds that stand.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Releases a hold. When the last one is gone, what is due happens within a second.
    #[command(after_help = "Examples:\n  embargod hold list\n  embargod hold release 7hq2k0c1\n  \
        embargod hold release clock\n\n\
        `clock` is your word that this machine's clock is right: a server that noticed a jump believes it from now \
        on. A doubt ends by itself when the clocks agree for half a minute; after a jump forward without \
        PostgreSQL's clock beside it, lifts then come as late as the jump was wide until you say so.")]
    Release {
        /// The hold's id, or the beginning of it; or `clock`.
        id: String,
    },
}

#[derive(Serialize)]
struct Listed {
    id: String,
    kind: &'static str,
    placed_at: String,
    placed_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Hold> for Listed {
    fn from(hold: Hold) -> Self {
        Self {
            id: hold.id.to_string(),
            kind: hold.kind.as_str(),
            placed_at: hold.placed_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            placed_by: hold.placed_by,
            reason: hold.reason,
        }
    }
}

/// Runs a command about holds.
pub(super) fn run(global: &Global, command: &HoldCommand) -> Result<ExitCode, Failure> {
    let console = Console::open(global)?;
    let operator = console.operator();
    match command {
        HoldCommand::Place { reason } => {
            let id = operator.place_hold(reason)?;
            item("held", "nothing lifts, nothing is announced, nothing is sent");
            item("later", &format!("embargod hold release {}", &id.as_str()[..8]));
        }
        HoldCommand::List { json } => list(operator.open_holds()?, *json),
        HoldCommand::Release { id } if id == "clock" => {
            let now = operator.confirm_clock()?;
            item(
                "ended",
                &format!("the doubt about the clock: it is {}", now.format("%Y-%m-%d %H:%M:%S UTC")),
            );
        }
        HoldCommand::Release { id } => {
            let hold = operator.release_hold(id)?;
            item("ended", hold.id.as_str());
            let left = operator.open_holds()?.len();
            if left > 0 {
                item("held", &format!("still, by {left} more: embargod hold list"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(open: Vec<Hold>, json: bool) {
    let open: Vec<Listed> = open.into_iter().map(Listed::from).collect();
    if json {
        screen::json(&open);
        return;
    }
    if open.is_empty() {
        say("nothing is held");
        return;
    }
    let row = |hold: &Listed| {
        let since = format!("since {} by {}", hold.placed_at, hold.placed_by);
        vec![hold.id.clone(), hold.kind.to_owned(), since, hold.reason.clone().unwrap_or_default()]
    };
    say(screen::columns(&open.iter().map(row).collect::<Vec<_>>()).trim_end());
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::*;

    #[test]
    fn a_hold_is_placed_with_a_reason_found_by_everybody_and_released_by_the_beginning_of_its_id() {
        let place = Place::new();
        place.init(&[]).unwrap();
        let global = place.global();
        let place_hold = |reason: &str| run(&global, &HoldCommand::Place { reason: reason.to_owned() });
        assert!(place_hold(" ").is_err(), "a hold without a reason helps nobody");
        place_hold("the relay moves").unwrap();
        let open = Console::open(&global).unwrap().operator().open_holds().unwrap();
        assert_eq!(open[0].reason.as_deref(), Some("the relay moves"));
        let findings = super::super::doctor::look(&global, &crate::clock::Clock::System, None).unwrap();
        let found = findings.iter().find(|finding| finding.text.contains("the relay moves")).unwrap();
        let id = &open[0].id.as_str()[..8];
        assert!(found.cure.as_ref().unwrap().ends_with(&format!("embargod hold release {id}")));
        for json in [false, true] {
            run(&global, &HoldCommand::List { json }).unwrap();
        }
        let release = |id: &str| run(&global, &HoldCommand::Release { id: id.to_owned() });
        assert!(release("").is_err());
        release(id).unwrap();
        assert!(release(id).is_err(), "it is released already");
        let database = std::fs::read(place.path("embargo/state/embargod.sqlite")).unwrap();
        assert!(!database.windows(9).any(|window| window == b"the relay"), "the reason is sealed");
    }
}
