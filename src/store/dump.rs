//! Whole tables as rows of JSON, out of one database and into another, whichever they are.
//!
//! What is sealed stays sealed: bytes are written as `\x` and hexadecimal digits, and nothing here has a key. Tables and columns
//! are asked of the database, so a table that a migration adds is copied without a word here. Rows come and go a handful at a
//! time, by their size, so that memory stays flat.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde::{Deserialize, Serialize};

use super::dialect::{self, Db};
use super::{StoreError, Tx};

/// How many bytes of rows are fetched at once, as far as rows can be divided.
const HANDFUL: usize = 1 << 20;
/// How many rows are fetched at once at most.
const MOST_ROWS: usize = 512;
/// Tables that a migration alone fills; an empty database has rows in them.
const NOT_CARRIED: &str = "__diesel_schema_migrations";
/// Whoever has rows in one of these is no empty database.
const TELLING: [&str; 6] = ["data_keys", "projects", "certificates", "embargoes", "audit", "advisories"];

/// A table and its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableShape {
    /// Its name.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Numbered {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn lines(db: &mut Db, query: String) -> QueryResult<Vec<String>> {
    let query = diesel::sql_query(query);
    let rows: Vec<Line> = dialect::on_backend!(db, |connection| query.load(connection))?;
    Ok(rows.into_iter().map(|row| row.line).collect())
}

fn tables(db: &mut Db) -> QueryResult<Vec<TableShape>> {
    // In the order in which they were made: a table refers to older ones.
    let names = match db {
        Db::Sqlite(_) => format!(
            "SELECT name AS line FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
             AND name <> '{NOT_CARRIED}' ORDER BY rowid"
        ),
        Db::Postgres(_) => format!(
            "SELECT relname::text AS line FROM pg_class WHERE relkind = 'r' AND relname <> '{NOT_CARRIED}' \
             AND relnamespace = current_schema()::regnamespace ORDER BY oid"
        ),
    };
    let mut shapes = Vec::new();
    for table in lines(db, names)? {
        let columns = match db {
            Db::Sqlite(_) => format!("SELECT name AS line FROM pragma_table_info('{table}') ORDER BY cid"),
            Db::Postgres(_) => format!(
                "SELECT attname::text AS line FROM pg_attribute WHERE attrelid = '\"{table}\"'::regclass \
                 AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
            ),
        };
        shapes.push(TableShape { columns: lines(db, columns)?, table });
    }
    Ok(shapes)
}

/// The columns of a table of SQLite that hold bytes.
fn byte_columns(db: &mut Db, table: &str) -> QueryResult<Vec<String>> {
    lines(db, format!("SELECT name AS line FROM pragma_table_info('{table}') WHERE type = 'BLOB'"))
}

fn quoted(columns: &[String]) -> String {
    columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
}

/// How many rows to fetch next, after some that had `bytes` together.
fn next_count(count: usize, bytes: usize) -> usize {
    if bytes > HANDFUL {
        (count / 2).max(1)
    } else if bytes < HANDFUL / 4 {
        (count * 2).min(MOST_ROWS)
    } else {
        count
    }
}

impl Tx<'_> {
    /// Every table that a copy of this database holds, older ones first.
    pub fn tables(&mut self) -> Result<Vec<TableShape>, StoreError> {
        Ok(tables(self.db)?)
    }

    /// The migrations that made this database, by version.
    pub fn migrations(&mut self) -> Result<Vec<String>, StoreError> {
        let query = format!("SELECT version AS line FROM {NOT_CARRIED} ORDER BY version");
        Ok(lines(self.db, query)?)
    }

    /// How many rows a table has.
    pub fn count_rows(&mut self, table: &TableShape) -> Result<i64, StoreError> {
        let query = diesel::sql_query(format!("SELECT count(*) AS count FROM \"{}\"", table.table));
        let row: Count = dialect::on_backend!(&mut *self.db, |connection| query.get_result(connection))?;
        Ok(row.count)
    }

    /// Shows every row of a table to `look`, as a line of JSON. The transaction has to begin with [`Tx::freeze`].
    pub fn each_row<E: From<StoreError>>(
        &mut self,
        shape: &TableShape,
        mut look: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.db {
            Db::Sqlite(_) => self.each_row_of_sqlite(shape, &mut look),
            Db::Postgres(_) => self.each_row_of_postgres(shape, &mut look),
        }
    }

    fn each_row_of_sqlite<E: From<StoreError>>(
        &mut self,
        shape: &TableShape,
        look: &mut impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let table = &shape.table;
        let bytes = byte_columns(self.db, table).map_err(StoreError::from)?;
        let fields = shape.columns.iter().map(|column| {
            if bytes.contains(column) {
                format!("'{column}', CASE WHEN \"{column}\" IS NOT NULL THEN '\\x' || lower(hex(\"{column}\")) END")
            } else {
                format!("'{column}', \"{column}\"")
            }
        });
        let fields = fields.collect::<Vec<_>>().join(", ");
        let (mut last, mut count) = (i64::MIN, 1);
        loop {
            let query = diesel::sql_query(format!(
                "SELECT rowid AS number, json_object({fields}) AS line FROM \"{table}\" \
                 WHERE rowid > {last} ORDER BY rowid LIMIT {count}"
            ));
            let rows: Vec<Numbered> = dialect::on_backend!(&mut *self.db, |connection| query
                .load(connection))
            .map_err(StoreError::from)?;
            let Some(end) = rows.last() else { return Ok(()) };
            last = end.number;
            rows.iter().try_for_each(|row| look(&row.line))?;
            count = next_count(count, rows.iter().map(|row| row.line.len()).sum());
        }
    }

    fn each_row_of_postgres<E: From<StoreError>>(
        &mut self,
        shape: &TableShape,
        look: &mut impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let table = &shape.table;
        let columns = quoted(&shape.columns);
        self.db
            .batch_execute(&format!(
                "SET LOCAL bytea_output = 'hex'; DECLARE carried NO SCROLL CURSOR FOR \
                 SELECT row_to_json(carried)::text AS line FROM (SELECT {columns} FROM \"{table}\") AS carried"
            ))
            .map_err(StoreError::from)?;
        let mut count = 1;
        loop {
            let rows = lines(self.db, format!("FETCH {count} FROM carried")).map_err(StoreError::from)?;
            if rows.is_empty() {
                break;
            }
            rows.iter().try_for_each(|row| look(row))?;
            count = next_count(count, rows.iter().map(String::len).sum());
        }
        self.db.batch_execute("CLOSE carried").map_err(StoreError::from)?;
        Ok(())
    }

    /// Whether this database was made by its migrations and holds nothing else.
    pub fn is_empty(&mut self) -> Result<bool, StoreError> {
        for shape in self.tables()? {
            if TELLING.contains(&shape.table.as_str()) && self.count_rows(&shape)? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes the rows that the migrations put into an empty database: a copy brings its own.
    pub fn make_room(&mut self) -> Result<(), StoreError> {
        let shapes = self.tables()?;
        for shape in shapes.iter().rev() {
            self.db.batch_execute(&format!("DELETE FROM \"{}\"", shape.table))?;
        }
        if let Db::Sqlite(connection) = self.db {
            connection.batch_execute("PRAGMA defer_foreign_keys = ON")?;
        }
        Ok(())
    }

    /// Adds rows, as [`Tx::each_row`] gave them, to a table of this database that has at least these columns.
    pub fn load_rows(&mut self, shape: &TableShape, rows: &[String]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let TableShape { table, columns } = shape;
        let all = format!("[{}]", rows.join(","));
        let names = quoted(columns);
        let insert = if matches!(self.db, Db::Sqlite(_)) {
            let bytes = byte_columns(self.db, table)?;
            let values = columns.iter().map(|column| {
                let value = format!("json_extract(value, '$.{column}')");
                if bytes.contains(column) { format!("unhex(substr({value}, 3))") } else { value }
            });
            let values = values.collect::<Vec<_>>().join(", ");
            format!("INSERT INTO \"{table}\" ({names}) SELECT {values} FROM json_each(?)")
        } else {
            format!(
                "INSERT INTO \"{table}\" ({names}) SELECT {names} \
                 FROM json_populate_recordset(null::\"{table}\", $1::json)"
            )
        };
        let query = diesel::sql_query(insert).bind::<Text, _>(all);
        dialect::on_backend!(&mut *self.db, |connection| query.execute(connection))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_rows_are_fetched_one_by_one_and_small_ones_by_the_hundred() {
        let after = |bytes_each: usize| (0..20).fold(1, |count, _| next_count(count, count * bytes_each));
        assert_eq!(after(20 << 20), 1);
        assert_eq!(after(100), MOST_ROWS);
        assert!((2..=8).contains(&after(200 << 10)));
    }
}
