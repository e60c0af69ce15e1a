//! Fixes: checked and verified before the transaction, stored in it.

use super::commands::{Context, Done, Opened, maintainers_with_certificates};
use super::{App, Refusal};
use crate::domain::branch::check_branch;
use crate::domain::case::Waiver;
use crate::domain::fix::Fix;
use crate::domain::hex_sha256;
use crate::domain::id::{EmbargoId, FixId};
use crate::openpgp::verify_detached;
use crate::store::{FixContent, StoredFix, Tx};

/// A change of one branch's fix.
#[derive(Debug)]
pub enum Change {
    /// A fix that was parsed and whose signature was good.
    Put {
        /// The branch.
        branch: String,
        /// The fix.
        fix: Fix,
        /// The detached signature, armored.
        signature: String,
        /// The fingerprint of the certificate that made it.
        signer: String,
    },
    /// The branch gets no fix.
    Waive(Waiver),
    /// The branch's fix or waiver is taken back.
    Remove(String),
}

impl Change {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Put { .. } => "fix put",
            Self::Waive(_) => "branch waived",
            Self::Remove(_) => "fix removed",
        }
    }
}

impl App {
    /// Parses a fix and verifies the maintainer's signature over it. `opened` is the command it came in:
    /// the signature must be by the same person.
    pub async fn prepare_fix(
        &self,
        opened: &Opened,
        branch: String,
        mbox: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<Change, Refusal> {
        check_branch(&branch).map_err(|error| Refusal::invalid("branch", error))?;
        let now = self.clock.now();
        let people = self.store.read(maintainers_with_certificates).await?;
        let (person, candidate) = people
            .into_iter()
            .find(|(person, _)| person.id == opened.maintainer)
            .ok_or(Refusal::Unauthorised("this maintainer may no longer send commands"))?;
        drop(person);
        self.commands()
            .run(move || {
                let verified = verify_detached(&signature, &mbox, &[candidate], now).map_err(|error| {
                    Refusal::invalid(error.code(), format!("the detached signature over the fix: {error}"))
                })?;
                let fix = Fix::parse(mbox).map_err(|error| Refusal::invalid(error.code(), error))?;
                let signature = armored(&signature);
                Ok(Change::Put { branch, fix, signature, signer: verified.fingerprint })
            })
            .await?
    }
}

fn armored(signature: &[u8]) -> String {
    match std::str::from_utf8(signature) {
        Ok(text) if text.contains("BEGIN PGP SIGNATURE") => text.to_owned(),
        _ => crate::openpgp::armor_signature(signature),
    }
}

impl Context<'_> {
    pub(super) fn put_fix(&self, tx: &mut Tx<'_>, id: EmbargoId, change: Change) -> Result<Done, Refusal> {
        let mut case = self.live(tx, &id)?;
        let mut remarks = Vec::new();
        match change {
            Change::Put { branch, fix, signature, signer } => {
                let facts = fix.facts().clone();
                remarks.extend(facts.remarks.iter().map(|remark| remark.sentence.clone()));
                let stored = StoredFix {
                    id: FixId::from_random(self.app.entropy.bytes()),
                    content: FixContent {
                        branch: branch.clone(),
                        facts,
                        sha256: hex_sha256(fix.bytes()),
                        signature,
                        signer,
                    },
                    created_at: self.now,
                };
                tx.put_fix(&id, &stored, fix.bytes())?;
                case.content.waivers.retain(|waiver| waiver.branch != branch);
            }
            Change::Waive(waiver) => {
                check_branch(&waiver.branch).map_err(|error| Refusal::invalid("branch", error))?;
                super::embargoes::needed(waiver.reason.clone(), "a branch without a fix")?;
                tx.drop_from_working_set(&id, &waiver.branch)?;
                case.content.waivers.retain(|other| other.branch != waiver.branch);
                case.content.waivers.push(waiver);
            }
            Change::Remove(branch) => {
                let waivers = case.content.waivers.len();
                case.content.waivers.retain(|waiver| waiver.branch != branch);
                let dropped = tx.drop_from_working_set(&id, &branch)?;
                if !dropped && waivers == case.content.waivers.len() {
                    return Err(Refusal::invalid("branch", "this branch has neither a fix nor a waiver"));
                }
            }
        }
        if case.embargo.stage.is_announced() {
            remarks.push(
                "packagers still have the older fixes: embargoctl send makes this a new revision".to_owned(),
            );
        }
        tx.save_embargo(&mut case.embargo, &case.content)?;
        Ok(Done { remarks, ..id.into() })
    }
}
