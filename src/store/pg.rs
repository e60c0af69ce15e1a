//! A blocking diesel connection to PostgreSQL without libpq: `tokio-postgres` with rustls underneath.
//!
//! The newtype exists so that `#[derive(MultiConnection)]` accepts it. If this ever proves fragile, libpq
//! behind a feature is the way back; nothing outside this file would notice.
//!
//! A pooler that hands out its connections by the transaction (`pooler=transaction` in the address) mixes what
//! several programs prepare by name. Then nothing is prepared outside of a transaction and nothing is kept
//! prepared, and each transaction begins by forgetting what others left on its connection.

use std::any::Any;
use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::{
    CacheSize, Connection, ConnectionSealed, Instrumentation, LoadConnection, MultiConnectionHelper,
    SimpleConnection, TransactionManager, TransactionManagerStatus,
};
use diesel::expression::QueryMetadata;
use diesel::pg::{Pg, PgMetadataLookup, PgTypeMetadata};
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::result::ConnectionError;
use diesel::sql_types::TypeMetadata;
use diesel::{ConnectionResult, QueryResult};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::{AsyncConnectionWrapper, BlockOn};
use tokio::runtime::Runtime;
use tokio_postgres::config::SslMode;

/// What in an address says that a pooler hands out its connections by the transaction.
const POOLER: &str = "pooler=transaction";
/// Forgets what this or another program prepared on the connection.
const FORGET: &str = "DEALLOCATE ALL";
/// A replica that stops in the middle of a transaction keeps others from what it locked, for no longer than this. No
/// transaction here waits for anything but the database.
const NOT_IDLE: &str = "SET idle_in_transaction_session_timeout = '15s'";
const NOT_IDLE_NOW: &str = "SET LOCAL idle_in_transaction_session_timeout = '15s'";

/// Drives one connection, on whichever thread waits for it: waking another thread for every statement would take longer
/// than most statements do.
pub struct OnCaller(Option<Runtime>);

thread_local! {
    /// The runtime of the connection that is being made on this thread.
    static MADE: Cell<Option<Runtime>> = const { Cell::new(None) };
}

impl OnCaller {
    fn runtime() -> ConnectionResult<Runtime> {
        let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
        made.map_err(|error| ConnectionError::BadConnection(error.to_string()))
    }
}

impl BlockOn for OnCaller {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.as_ref().expect("it is there from the connecting to the end").block_on(future)
    }

    /// The one in which the connection was made, for only there it goes on.
    fn get_runtime() -> Self {
        Self(MADE.take())
    }
}

impl Drop for OnCaller {
    fn drop(&mut self) {
        // A connection may be dropped anywhere, also where nothing may wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

type Inner = AsyncConnectionWrapper<AsyncPgConnection, OnCaller>;
type InnerManager = <Inner as Connection>::TransactionManager;

/// A blocking connection to PostgreSQL.
pub struct PgConn {
    inner: Inner,
    /// Whether a pooler hands out its connections by the transaction.
    pooled: bool,
}

/// Transactions on a [`PgConn`].
pub struct PgTransactions;

impl PgConn {
    /// Connects to `url`. TLS is used where the server offers it, and required with `sslmode=require`.
    pub fn connect(url: &str) -> ConnectionResult<Self> {
        let (url, pooled) = without_pooler(url);
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|error| ConnectionError::InvalidConnectionUrl(format!("{error}")))?;
        be_impatient(&mut config);
        let runtime = OnCaller::runtime()?;
        let connected = runtime.block_on(async {
            if config.get_ssl_mode() == SslMode::Disable {
                let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
                Ok(set_up(client, connection, pooled).await)
            } else {
                let tls = tokio_postgres_rustls::MakeRustlsConnect::new(tls_config());
                let (client, connection) = config.connect(tls).await?;
                Ok(set_up(client, connection, pooled).await)
            }
        });
        let connected = connected
            .map_err(|error: tokio_postgres::Error| ConnectionError::BadConnection(error.to_string()))??;
        MADE.set(Some(runtime));
        Ok(Self { inner: Inner::from(connected), pooled })
    }

    /// Lets the transaction that has just begun, in which nothing was asked yet, see one state of the database.
    pub fn freeze(&mut self) -> QueryResult<()> {
        if !self.pooled {
            return self.inner.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
        }
        // What is forgotten at its begin counts as asked, so it begins once more.
        let again = format!("COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ; {FORGET}; {NOT_IDLE_NOW}");
        self.inner.batch_execute(&again)
    }

    /// Whether a pooler hands out its connections by the transaction.
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }
}

/// The address as the library takes it, and whether it names a pooler.
fn without_pooler(url: &str) -> (String, bool) {
    let Some((address, parameters)) = url.split_once('?') else { return (url.to_owned(), false) };
    let (pooler, others): (Vec<&str>, Vec<&str>) =
        parameters.split('&').partition(|parameter| *parameter == POOLER);
    let rest = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
    (format!("{address}{rest}"), !pooler.is_empty())
}

/// A server that is gone without a word is noticed before a lease runs out, unless the address says otherwise.
fn be_impatient(config: &mut tokio_postgres::Config) {
    let unset = tokio_postgres::Config::new();
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(15));
    }
    if config.get_keepalives_idle() == unset.get_keepalives_idle() {
        config.keepalives_idle(Duration::from_secs(5));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(2);
    }
}

async fn set_up<S>(
    client: tokio_postgres::Client,
    connection: tokio_postgres::Connection<tokio_postgres::Socket, S>,
    pooled: bool,
) -> ConnectionResult<AsyncPgConnection>
where
    S: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
{
    if !pooled {
        let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
        let set = diesel_async::SimpleAsyncConnection::batch_execute(&mut connection, NOT_IDLE).await;
        return set.map(|()| connection).map_err(ConnectionError::CouldntSetupConfiguration);
    }
    // What the library sets up by prepared statements is kept within one transaction, and taken back with it:
    // nothing here depends on a time zone, and the encoding was agreed on when connecting. How the connection
    // ends is told by the first query that fails.
    tokio::spawn(async move { drop(connection.await) });
    let failed = |error: tokio_postgres::Error| ConnectionError::BadConnection(error.to_string());
    client.batch_execute("BEGIN").await.map_err(failed)?;
    client.batch_execute(FORGET).await.map_err(failed)?;
    let mut connection = AsyncPgConnection::try_from(client).await?;
    let rolled_back = diesel_async::SimpleAsyncConnection::batch_execute(&mut connection, "ROLLBACK").await;
    rolled_back.map_err(ConnectionError::CouldntSetupConfiguration)?;
    diesel_async::AsyncConnection::set_prepared_statement_cache_size(&mut connection, CacheSize::Disabled);
    Ok(connection)
}

fn tls_config() -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the ring provider supports the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

impl SimpleConnection for PgConn {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.inner.batch_execute(query)
    }
}

impl ConnectionSealed for PgConn {}

impl Connection for PgConn {
    type Backend = Pg;
    type TransactionManager = PgTransactions;

    fn establish(url: &str) -> ConnectionResult<Self> {
        Self::connect(url)
    }

    fn execute_returning_count<T: QueryFragment<Pg> + QueryId>(&mut self, query: &T) -> QueryResult<usize> {
        self.inner.execute_returning_count(query)
    }

    fn transaction_state(
        &mut self,
    ) -> &mut <PgTransactions as TransactionManager<Self>>::TransactionStateData {
        self.inner.transaction_state()
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.inner.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.inner.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.inner.set_prepared_statement_cache_size(size);
    }
}

impl LoadConnection for PgConn {
    type Cursor<'conn, 'query> = <Inner as LoadConnection>::Cursor<'conn, 'query>;
    type Row<'conn, 'query> = <Inner as LoadConnection>::Row<'conn, 'query>;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<Self::Cursor<'conn, 'query>>
    where
        T: Query + QueryFragment<Pg> + QueryId + 'query,
        Pg: QueryMetadata<T::SqlType>,
    {
        self.inner.load(source)
    }
}

impl TransactionManager<PgConn> for PgTransactions {
    type TransactionStateData = <InnerManager as TransactionManager<Inner>>::TransactionStateData;

    fn begin_transaction(connection: &mut PgConn) -> QueryResult<()> {
        InnerManager::begin_transaction(&mut connection.inner)?;
        let status = InnerManager::transaction_manager_status_mut(&mut connection.inner);
        let depth = status.transaction_depth().ok().flatten().map_or(0, NonZeroU32::get);
        if connection.pooled && depth == 1 {
            let prepared = connection.inner.batch_execute(FORGET);
            prepared.and_then(|()| connection.inner.batch_execute(NOT_IDLE_NOW)).inspect_err(|_| {
                // It fails with its connection, and then so does this.
                let _ = InnerManager::rollback_transaction(&mut connection.inner);
            })?;
        }
        Ok(())
    }

    fn rollback_transaction(connection: &mut PgConn) -> QueryResult<()> {
        InnerManager::rollback_transaction(&mut connection.inner)
    }

    fn commit_transaction(connection: &mut PgConn) -> QueryResult<()> {
        InnerManager::commit_transaction(&mut connection.inner)
    }

    fn transaction_manager_status_mut(connection: &mut PgConn) -> &mut TransactionManagerStatus {
        InnerManager::transaction_manager_status_mut(&mut connection.inner)
    }

    fn is_broken_transaction_manager(connection: &mut PgConn) -> bool {
        InnerManager::is_broken_transaction_manager(&mut connection.inner)
    }
}

impl diesel::r2d2::R2D2Connection for PgConn {
    fn ping(&mut self) -> QueryResult<()> {
        self.inner.batch_execute("SELECT 1")
    }

    fn is_broken(&mut self) -> bool {
        PgTransactions::is_broken_transaction_manager(self)
    }
}

impl diesel::migration::MigrationConnection for PgConn {
    fn setup(&mut self) -> QueryResult<usize> {
        self.inner.setup()
    }
}

/// Built-in types have fixed numbers, so nothing is ever looked up.
struct NoLookup;

impl PgMetadataLookup for NoLookup {
    fn lookup_type(&mut self, _: &str, _: Option<&str>) -> PgTypeMetadata {
        PgTypeMetadata::new(0, 0)
    }

    fn as_any<'a>(&mut self) -> &mut (dyn Any + 'a)
    where
        Self: 'a,
    {
        self
    }
}

impl MultiConnectionHelper for PgConn {
    fn to_any<'a>(_: &mut <Pg as TypeMetadata>::MetadataLookup) -> &mut (dyn Any + 'a) {
        // Zero-sized: nothing is allocated, so nothing leaks.
        Box::leak(Box::new(NoLookup))
    }

    fn from_any(lookup: &mut dyn Any) -> Option<&mut <Pg as TypeMetadata>::MetadataLookup> {
        lookup.downcast_mut::<NoLookup>().map(|lookup| lookup as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pooler_is_named_in_an_address_beside_other_parameters_and_taken_out_of_it() {
        for (url, rest, pooled) in [
            ("postgres://u@h/x", "postgres://u@h/x", false),
            ("postgres://u@h/x?pooler=transaction", "postgres://u@h/x", true),
            ("postgres://u@h/x?sslmode=disable&pooler=transaction", "postgres://u@h/x?sslmode=disable", true),
            ("postgres://u@h/x?pooler=session", "postgres://u@h/x?pooler=session", false),
        ] {
            assert_eq!(without_pooler(url), (rest.to_owned(), pooled));
        }
    }
}
