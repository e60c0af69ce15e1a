//! Embargoes: the row of each, and the working document sealed in it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::upsert::excluded;
use serde::{Deserialize, Serialize};

use super::dialect::Db;
use super::schema::embargoes;
use super::{StoreError, Tx, corrupt, instant, optional_instant, parsed, sound};
use crate::domain::case::{CaseText, Credit, Waiver};
use crate::domain::embargo::{Embargo, Schedule, Stage};
use crate::domain::id::EmbargoId;
use crate::vault::Place;

/// The working document of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseContent {
    /// The text as maintainers edit it.
    pub text: CaseText,
    /// Who helped.
    pub credits: Vec<Credit>,
    /// Branches excused from having a fix.
    pub waivers: Vec<Waiver>,
    /// Whether a maintainer chose who is told; until then it is everybody who is approved.
    #[serde(default)]
    pub audience_chosen: bool,
    /// Why it was lifted early or cancelled, if it was.
    #[serde(default)]
    pub ending: Option<String>,
    /// What its lift published without, because it could not be made.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// An embargo with its working document.
#[derive(Clone, Debug)]
pub struct StoredEmbargo {
    /// Its stage and version.
    pub embargo: Embargo,
    /// Its working document.
    pub content: CaseContent,
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = embargoes, treat_none_as_null = true)]
struct Row {
    id: String,
    project_id: String,
    stage: String,
    version: i64,
    opened_at: i64,
    lifts_at: Option<i64>,
    lift_zone: Option<String>,
    lift_local: Option<String>,
    notice_at: Option<i64>,
    agreed_at: Option<i64>,
    revision: Option<i32>,
    early: bool,
    announced_at: Option<i64>,
    ended_at: Option<i64>,
    case_sealed: Vec<u8>,
}

const TABLE: &str = "embargoes";

/// What is sealed of a case: its content, and what stood beside it in clear, so that neither changes alone.
#[derive(Serialize)]
struct Sealing<'a> {
    #[serde(flatten)]
    content: &'a CaseContent,
    row: String,
}

/// The same, opened. A version that did not seal the row yet leaves it out.
#[derive(Deserialize)]
struct Opened {
    #[serde(flatten)]
    content: CaseContent,
    #[serde(default)]
    row: Option<String>,
}

fn place(id: &str) -> Place<'_> {
    Place { table: TABLE, column: "case", row: id }
}

impl Row {
    fn new(embargo: &Embargo, case_sealed: Vec<u8>) -> Self {
        let micros = |at: &DateTime<Utc>| at.timestamp_micros();
        let schedule = embargo.stage.schedule();
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let (revision, early, announced_at, ended_at) = match &embargo.stage {
            Stage::Draft => (None, false, None, None),
            Stage::Scheduled { frozen, .. } => (frozen.map(number), false, None, None),
            Stage::Announced { announced_at, revision, early, .. } => {
                (Some(number(*revision)), *early, Some(micros(announced_at)), None)
            }
            Stage::Lifted { announced_at, lifted_at, revision, early, .. } => {
                (Some(number(*revision)), *early, Some(micros(announced_at)), Some(micros(lifted_at)))
            }
            Stage::Cancelled { cancelled_at, announced_at } => {
                (None, false, announced_at.as_ref().map(micros), Some(micros(cancelled_at)))
            }
        };
        Self {
            id: embargo.id.to_string(),
            project_id: embargo.project.to_string(),
            stage: embargo.stage.name().to_string(),
            version: embargo.version,
            opened_at: micros(&embargo.opened_at),
            lifts_at: schedule.map(|schedule| micros(&schedule.lifts_at)),
            lift_zone: schedule.map(|schedule| schedule.zone.name().to_owned()),
            lift_local: schedule.map(|schedule| schedule.local.clone()),
            notice_at: schedule.map(|schedule| micros(&schedule.notice_at)),
            agreed_at: schedule.and_then(|schedule| schedule.agreed_at.as_ref().map(micros)),
            revision,
            early,
            announced_at,
            ended_at,
            case_sealed,
        }
    }

    fn stage(&self) -> Result<Stage, StoreError> {
        let missing = || corrupt(TABLE, &self.id);
        let at = |micros: Option<i64>| {
            optional_instant(micros, TABLE, &self.id).and_then(|at| at.ok_or_else(missing))
        };
        let schedule = || {
            Ok::<_, StoreError>(Schedule {
                lifts_at: at(self.lifts_at)?,
                zone: parsed(self.lift_zone.as_deref().ok_or_else(missing)?, TABLE, &self.id)?,
                local: self.lift_local.clone().ok_or_else(missing)?,
                notice_at: at(self.notice_at)?,
                agreed_at: optional_instant(self.agreed_at, TABLE, &self.id)?,
            })
        };
        let revision = || self.revision.and_then(|number| u32::try_from(number).ok());
        Ok(match self.stage.as_str() {
            "draft" => Stage::Draft,
            "scheduled" => Stage::Scheduled { schedule: schedule()?, frozen: revision() },
            "announced" => Stage::Announced {
                schedule: schedule()?,
                announced_at: at(self.announced_at)?,
                revision: revision().ok_or_else(missing)?,
                early: self.early,
            },
            "lifted" => Stage::Lifted {
                schedule: schedule()?,
                announced_at: at(self.announced_at)?,
                lifted_at: at(self.ended_at)?,
                revision: revision().ok_or_else(missing)?,
                early: self.early,
            },
            "cancelled" => Stage::Cancelled {
                cancelled_at: at(self.ended_at)?,
                announced_at: optional_instant(self.announced_at, TABLE, &self.id)?,
            },
            _ => return Err(missing()),
        })
    }

    /// Everything that stands in clear, as one text.
    fn in_clear(&self) -> String {
        let text = format!(
            "{} {} {} {} {} {:?} {:?} {:?} {:?} {:?} {:?} {} {:?} {:?}",
            self.id,
            self.project_id,
            self.stage,
            self.version,
            self.opened_at,
            self.lifts_at,
            self.lift_zone,
            self.lift_local,
            self.notice_at,
            self.agreed_at,
            self.revision,
            self.early,
            self.announced_at,
            self.ended_at
        );
        crate::domain::hex_sha256(text.as_bytes())
    }

    fn embargo(&self) -> Result<Embargo, StoreError> {
        Ok(Embargo {
            id: parsed(&self.id, TABLE, &self.id)?,
            project: parsed(&self.project_id, TABLE, &self.id)?,
            version: self.version,
            opened_at: instant(self.opened_at, TABLE, &self.id)?,
            stage: self.stage()?,
        })
    }
}

impl Tx<'_> {
    /// Stores a new embargo under a data key of its own.
    pub fn insert_embargo(&mut self, embargo: &Embargo, content: &CaseContent) -> Result<(), StoreError> {
        self.create_key(embargo.id.as_str(), embargo.opened_at)?;
        let row = self.sealed_row(embargo, content)?;
        diesel::insert_into(embargoes::table).values(row).execute(self.db)?;
        Ok(())
    }

    fn sealed_row(&mut self, embargo: &Embargo, content: &CaseContent) -> Result<Row, StoreError> {
        let mut row = Row::new(embargo, Vec::new());
        let sealing = Sealing { content, row: row.in_clear() };
        row.case_sealed = self.seal_json(&row.id, place(&row.id), &sealing)?;
        Ok(row)
    }

    /// What is sealed in a row, unless what stands beside it is not what was written.
    fn opened(&mut self, row: &Row) -> Result<CaseContent, StoreError> {
        let opened: Opened = self.open_json(&row.id, place(&row.id), &row.case_sealed)?;
        if opened.row.is_some_and(|sealed| sealed != row.in_clear()) {
            return Err(corrupt(TABLE, &row.id));
        }
        Ok(opened.content)
    }

    /// An embargo whose row is what was written, as far as that can be known: not while the vault is shut, and not
    /// once its data key is destroyed.
    fn sound_embargo(&mut self, row: &Row) -> Result<Embargo, StoreError> {
        if self.vault.locked_reason().is_none() {
            match self.opened(row) {
                Ok(_) | Err(StoreError::Destroyed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        row.embargo()
    }

    /// Those of `rows` that are sound. A row that cannot even be read is left out by reading each by its id.
    fn sound_embargoes(
        &mut self,
        rows: QueryResult<Vec<Row>>,
        ids: impl FnOnce(&mut Db) -> QueryResult<Vec<String>>,
    ) -> Result<Vec<Embargo>, StoreError> {
        let rows = match rows {
            Err(diesel::result::Error::DeserializationError(_)) => {
                let ids = ids(self.db)?;
                let each = ids.into_iter().map(|id| {
                    let row = embargoes::table.find(&id).select(Row::as_select()).first(self.db);
                    row.map_err(|_| corrupt(TABLE, &id))
                });
                sound(each)?
            }
            rows => rows?,
        };
        sound(rows.iter().map(|row| self.sound_embargo(row)))
    }

    /// Stores a changed embargo and counts its version up. [`StoreError::Conflict`] if somebody was faster.
    pub fn save_embargo(&mut self, embargo: &mut Embargo, content: &CaseContent) -> Result<(), StoreError> {
        let seen = embargo.version;
        embargo.version += 1;
        let row = self.sealed_row(embargo, content)?;
        let changed = diesel::update(embargoes::table)
            .filter(embargoes::id.eq(embargo.id.as_str()))
            .filter(embargoes::version.eq(seen))
            .set(row)
            .execute(self.db)?;
        if changed == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// [`Tx::save_embargo`] of many, or of none of them.
    pub fn save_embargoes(&mut self, cases: &mut [StoredEmbargo]) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(cases.len());
        for case in cases.iter_mut() {
            case.embargo.version += 1;
            rows.push(self.sealed_row(&case.embargo, &case.content)?);
        }
        let changed = replace(self.db, &rows)?;
        if changed == rows.len() { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// One embargo, without its content.
    pub fn embargo(&mut self, id: &EmbargoId) -> Result<Option<Embargo>, StoreError> {
        embargoes::table
            .find(id.as_str())
            .select(Row::as_select())
            .first(self.db)
            .optional()?
            .map(|row| self.sound_embargo(&row))
            .transpose()
    }

    /// One embargo with its content.
    pub fn embargo_with_content(&mut self, id: &EmbargoId) -> Result<Option<StoredEmbargo>, StoreError> {
        let row = embargoes::table.find(id.as_str()).select(Row::as_select()).first(self.db).optional()?;
        row.map(|row| self.opened_case(&row)).transpose()
    }

    /// Those of `ids` that there are, with their content, in no order.
    pub fn embargoes_with_content(&mut self, ids: &[EmbargoId]) -> Result<Vec<StoredEmbargo>, StoreError> {
        let rows = embargoes::table
            .filter(embargoes::id.eq_any(ids.iter().map(EmbargoId::as_str)))
            .select(Row::as_select())
            .load(self.db)?;
        rows.iter().map(|row| self.opened_case(row)).collect()
    }

    fn opened_case(&mut self, row: &Row) -> Result<StoredEmbargo, StoreError> {
        let content = self.opened(row)?;
        Ok(StoredEmbargo { embargo: row.embargo()?, content })
    }

    /// Every embargo, the newest first, without content.
    pub fn embargoes(&mut self) -> Result<Vec<Embargo>, StoreError> {
        let rows = embargoes::table.order(embargoes::opened_at.desc()).select(Row::as_select()).load(self.db);
        self.sound_embargoes(rows, |db| {
            embargoes::table.order(embargoes::opened_at.desc()).select(embargoes::id).load(db)
        })
    }

    /// The ids of announced embargoes whose instant has come by `now`, the longest due first.
    pub fn due_lifts(&mut self, now: DateTime<Utc>) -> Result<Vec<EmbargoId>, StoreError> {
        let ids = embargoes::table
            .filter(embargoes::stage.eq("announced"))
            .filter(embargoes::lifts_at.le(now.timestamp_micros()))
            .order((embargoes::lifts_at, embargoes::id))
            .select(embargoes::id)
            .load::<String>(self.db)?;
        sound(ids.iter().map(|id| parsed(id, TABLE, id)))
    }

    /// Scheduled embargoes whose notice is due by `now`, frozen or not.
    pub fn due_notices(&mut self, now: DateTime<Utc>) -> Result<Vec<Embargo>, StoreError> {
        let due = || {
            embargoes::table
                .filter(embargoes::stage.eq("scheduled"))
                .filter(embargoes::notice_at.le(now.timestamp_micros()))
                .order(embargoes::notice_at)
        };
        let rows = due().select(Row::as_select()).load(self.db);
        self.sound_embargoes(rows, |db| due().select(embargoes::id).load(db))
    }

    /// Embargoes that ended by `before` and whose content is still kept, a few at a time.
    pub fn ended_and_kept(&mut self, before: DateTime<Utc>) -> Result<Vec<EmbargoId>, StoreError> {
        use super::schema::data_keys;
        let ids = embargoes::table
            .inner_join(data_keys::table.on(data_keys::owner.eq(embargoes::id)))
            .filter(embargoes::stage.eq_any(["lifted", "cancelled"]))
            .filter(embargoes::ended_at.le(before.timestamp_micros()))
            .filter(data_keys::destroyed_at.is_null())
            .order((embargoes::ended_at, embargoes::id))
            .limit(100)
            .select(embargoes::id)
            .load::<String>(self.db)?;
        sound(ids.iter().map(|id| parsed(id, TABLE, id)))
    }

    /// The next instant after `now` at which some embargo lifts or is due to be announced.
    pub fn next_instant(&mut self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        let now = now.timestamp_micros();
        let lift = embargoes::table
            .filter(embargoes::stage.eq("announced"))
            .filter(embargoes::lifts_at.gt(now))
            .select(diesel::dsl::min(embargoes::lifts_at))
            .first::<Option<i64>>(self.db)?;
        let notice = embargoes::table
            .filter(embargoes::stage.eq("scheduled"))
            .filter(embargoes::notice_at.gt(now))
            .select(diesel::dsl::min(embargoes::notice_at))
            .first::<Option<i64>>(self.db)?;
        optional_instant(lift.into_iter().chain(notice).min(), TABLE, "next")
    }
}

/// Stores each of these rows in place of the one version before it; returns how many there were.
fn replace(db: &mut Db, rows: &[Row]) -> QueryResult<usize> {
    match db {
        // One statement for all of them: each costs a round trip here.
        Db::Postgres(connection) => {
            let replaced = diesel::insert_into(embargoes::table)
                .values(rows)
                .on_conflict(embargoes::id)
                .do_update()
                .set((
                    embargoes::stage.eq(excluded(embargoes::stage)),
                    embargoes::version.eq(excluded(embargoes::version)),
                    embargoes::lifts_at.eq(excluded(embargoes::lifts_at)),
                    embargoes::lift_zone.eq(excluded(embargoes::lift_zone)),
                    embargoes::lift_local.eq(excluded(embargoes::lift_local)),
                    embargoes::notice_at.eq(excluded(embargoes::notice_at)),
                    embargoes::agreed_at.eq(excluded(embargoes::agreed_at)),
                    embargoes::revision.eq(excluded(embargoes::revision)),
                    embargoes::early.eq(excluded(embargoes::early)),
                    embargoes::announced_at.eq(excluded(embargoes::announced_at)),
                    embargoes::ended_at.eq(excluded(embargoes::ended_at)),
                    embargoes::case_sealed.eq(excluded(embargoes::case_sealed)),
                ));
            let unchanged = (embargoes::version + 1).eq(excluded(embargoes::version));
            diesel::query_dsl::methods::FilterDsl::filter(replaced, unchanged).execute(connection)
        }
        Db::Sqlite(connection) => rows.iter().try_fold(0, |changed, row| {
            let update = diesel::update(embargoes::table.find(&row.id))
                .filter(embargoes::version.eq(row.version - 1))
                .set(row);
            update.execute(connection).map(|one| changed + one)
        }),
    }
}
