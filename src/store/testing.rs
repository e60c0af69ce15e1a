//! A second connection for tests that damage a database behind the store's back.

use std::path::Path;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Text)]
    answer: String,
}

/// Runs one statement on the SQLite database at `path`; a `SELECT` of one text returns it.
pub fn query(path: &Path, statement: &str) -> String {
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout=5000").unwrap();
    if !statement.starts_with("SELECT") {
        connection.batch_execute(statement).unwrap();
        return String::new();
    }
    let wrapped = format!("SELECT CAST(({statement}) AS TEXT) AS answer");
    diesel::sql_query(wrapped).get_result::<Answer>(&mut connection).unwrap().answer
}
