//! By which reckoning this machine started: what a server that is started again holds its clock against.

use chrono::{DateTime, Duration, SecondsFormat, Utc};

use super::{Witness, WitnessError, files};

const BOOTED: &str = "booted";
/// How far two reckonings lie apart at most that are the same.
const SAME: Duration = Duration::seconds(1);

/// Whether two reckonings are the same one.
pub(in crate::app) fn is_same(one: DateTime<Utc>, other: DateTime<Utc>) -> bool {
    (one - other).abs() <= SAME
}

impl Witness {
    /// When the machine started, by what a server on it believed before; nothing if it was started again since.
    pub(in crate::app) fn booted(&self) -> Option<DateTime<Utc>> {
        let boot = self.clock.boot()?;
        let text = files::read(&self.folder, BOOTED).ok().flatten()?;
        let (of, at) = text.trim_end().split_once(' ')?;
        (of == boot).then(|| DateTime::parse_from_rfc3339(at).ok()).flatten().map(|at| at.to_utc())
    }

    /// Remembers when the machine started, for the next server on it. Lifts wait for this, and it waits for nobody.
    pub(in crate::app) fn keep_booted(&self, booted: DateTime<Utc>) -> Result<(), WitnessError> {
        let Some(boot) = self.clock.boot() else { return Ok(()) };
        if self.booted().is_some_and(|known| is_same(known, booted)) {
            return Ok(());
        }
        let text = format!("{boot} {}\n", booted.to_rfc3339_opts(SecondsFormat::Micros, true));
        let _lock =
            files::lock(&self.folder, std::time::Duration::ZERO).map_err(self.failed("anchor.lock"))?;
        files::replace(&self.folder, BOOTED, text.as_bytes()).map_err(self.failed(BOOTED))
    }
}
