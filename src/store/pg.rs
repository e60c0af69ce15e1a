//! A blocking diesel connection to PostgreSQL without libpq: `tokio-postgres` with rustls underneath.
//!
//! The newtype exists so that `#[derive(MultiConnection)]` accepts it. If this ever proves fragile, libpq
//! behind a feature is the way back; nothing outside this file would notice.

use std::any::Any;
use std::sync::{Arc, LazyLock};

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
use tokio_postgres::config::SslMode;

/// One runtime of its own drives every connection: a connection may be dropped anywhere, and timers work.
static DRIVER: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("postgres")
        .enable_all()
        .build()
        .expect("the operating system starts one thread")
});

/// Runs a connection's futures on the shared driver.
pub struct OnDriver;

impl BlockOn for OnDriver {
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        DRIVER.block_on(future)
    }

    fn get_runtime() -> Self {
        Self
    }
}

type Inner = AsyncConnectionWrapper<AsyncPgConnection, OnDriver>;
type InnerManager = <Inner as Connection>::TransactionManager;

/// A blocking connection to PostgreSQL.
pub struct PgConn(Inner);

/// Transactions on a [`PgConn`].
pub struct PgTransactions;

impl PgConn {
    /// Connects to `url`. TLS is used where the server offers it, and required with `sslmode=require`.
    pub fn connect(url: &str) -> ConnectionResult<Self> {
        let config: tokio_postgres::Config =
            url.parse().map_err(|error| ConnectionError::InvalidConnectionUrl(format!("{error}")))?;
        let connected = DRIVER.block_on(async {
            if config.get_ssl_mode() == SslMode::Disable {
                let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
                Ok(AsyncPgConnection::try_from_client_and_connection(client, connection).await)
            } else {
                let tls = tokio_postgres_rustls::MakeRustlsConnect::new(tls_config());
                let (client, connection) = config.connect(tls).await?;
                Ok(AsyncPgConnection::try_from_client_and_connection(client, connection).await)
            }
        });
        connected
            .map_err(|error: tokio_postgres::Error| ConnectionError::BadConnection(error.to_string()))?
            .map(|connection| Self(Inner::from(connection)))
    }
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
        self.0.batch_execute(query)
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
        self.0.execute_returning_count(query)
    }

    fn transaction_state(
        &mut self,
    ) -> &mut <PgTransactions as TransactionManager<Self>>::TransactionStateData {
        self.0.transaction_state()
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.0.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.0.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.0.set_prepared_statement_cache_size(size);
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
        self.0.load(source)
    }
}

impl TransactionManager<PgConn> for PgTransactions {
    type TransactionStateData = <InnerManager as TransactionManager<Inner>>::TransactionStateData;

    fn begin_transaction(connection: &mut PgConn) -> QueryResult<()> {
        InnerManager::begin_transaction(&mut connection.0)
    }

    fn rollback_transaction(connection: &mut PgConn) -> QueryResult<()> {
        InnerManager::rollback_transaction(&mut connection.0)
    }

    fn commit_transaction(connection: &mut PgConn) -> QueryResult<()> {
        InnerManager::commit_transaction(&mut connection.0)
    }

    fn transaction_manager_status_mut(connection: &mut PgConn) -> &mut TransactionManagerStatus {
        InnerManager::transaction_manager_status_mut(&mut connection.0)
    }

    fn is_broken_transaction_manager(connection: &mut PgConn) -> bool {
        InnerManager::is_broken_transaction_manager(&mut connection.0)
    }
}

impl diesel::r2d2::R2D2Connection for PgConn {
    fn ping(&mut self) -> QueryResult<()> {
        self.0.batch_execute("SELECT 1")
    }

    fn is_broken(&mut self) -> bool {
        PgTransactions::is_broken_transaction_manager(self)
    }
}

impl diesel::migration::MigrationConnection for PgConn {
    fn setup(&mut self) -> QueryResult<usize> {
        self.0.setup()
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
