//! `embargod serve`: the server, from its configuration to its last answered request.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{DateTime, SubsecRound as _, Utc};
use chrono_tz::Tz;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::alone::Alone;
use super::console::{Console, Global, location, settings};
use super::failure::Failure;
use super::practice::{ClockFile, Practice};
use super::screen::{item, say};
use super::{log, practice};
use crate::app::App;
use crate::cli::assembly::{Assembled, Parts, Serving};
use crate::clock::{Clock, VirtualClock};
use crate::config::Config;
use crate::domain::instant::display_instant;
use crate::entropy::Entropy;
use crate::outbound::memory;

/// Arguments of `embargod serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    embargod serve\n  \
    embargod serve --check                        before a restart: would it answer?\n  \
    embargod serve --config /etc/embargod/embargod.toml\n\n\
    SIGTERM or Ctrl-C: no new requests, what was begun is finished, then it ends with 0; a second one ends it at once. Without the \
    key-encryption key it serves what is public and says so in /readyz.")]
pub(super) struct ServeArguments {
    /// Put everything together except the socket, say whether it would answer, and end.
    #[arg(long)]
    pub check: bool,
    /// Where this one answers, such as `10.0.0.7:8080`; `listen` of the configuration if absent. Replicas on one
    /// machine share a configuration and differ in this.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where this one tells its numbers, such as `127.0.0.1:9188`; `metrics.listen` of the configuration if absent.
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
}

/// What to do about a second server on one machine.
const ONE_AT_A_TIME: &str =
    "stop it first; several servers share a PostgreSQL database: embargod copy --help";

/// A server that is put together and does nothing yet.
struct Prepared {
    config: Config,
    assembled: Assembled,
    /// For practice: the hand on its clock, and where the clock has to be before it answers.
    rehearsal: Option<(Arc<VirtualClock>, DateTime<Utc>)>,
}

/// Serves until told to stop.
pub(super) fn run(global: &Global, arguments: &ServeArguments) -> Result<ExitCode, Failure> {
    if !arguments.check {
        memory::give_back_large_blocks();
    }
    // Before anything is migrated. To check is to look, and may be done beside it.
    let location = location(&global.load()?)?;
    let _alone = if arguments.check {
        Alone::to_migrate(&location)?
    } else {
        Some(Alone::on(&location, ONE_AT_A_TIME)?)
    };
    let mut console = Console::open_alone(global)?;
    console.config.server.listen = arguments.listen.unwrap_or(console.config.server.listen);
    console.config.metrics.listen = arguments.metrics.or(console.config.metrics.listen);
    if console.config.metrics.collides_with(console.config.server.listen) {
        return Err(Failure::unfit(
            format!(
                "the address for numbers has the port of the public one, {}",
                console.config.server.listen
            ),
            "choose another with --metrics, or in [metrics] listen: numbers are not for the public",
        ));
    }
    log::start(&console.config.log)?;
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    if arguments.check {
        let prepared = prepare(global, console, threads)?;
        return runtime(1)?.block_on(async { Ok(tell_whether_ready(&prepared).await) });
    }
    // Whoever cannot have the address should not touch the database.
    let listeners = Listeners::open(&console.config)?;
    let prepared = prepare(global, console, threads)?;
    log::say_where_and_not_what_panics();
    runtime(threads)?.block_on(serve(prepared, listeners))
}

fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(Failure::system("threads"))
}

/// Puts the server together. Not inside a runtime: connecting to PostgreSQL blocks.
fn prepare(global: &Global, console: Console, threads: usize) -> Result<Prepared, Failure> {
    let Console { config, store, practice, .. } = console;
    if practice && !config.mail_stays_here() {
        return Err(Failure::unfit(
            "this is a practice installation, and its mail would leave this machine",
            "write kind = \"maildir\" and folder = \"state/mail\" in [mail.relay]",
        ));
    }
    let (clock, rehearsal) = if practice {
        let left = practice::left(&store, &config.state())?;
        let (clock, hand) = Clock::standing_at(left.served);
        // A practice clock never stands behind the real time.
        (clock, Some((hand, left.now.max(Clock::System.now()))))
    } else {
        (Clock::System, None)
    };
    // The server opens the database anew, with a vault that may turn out to be shut.
    drop(store);
    let parts = Parts {
        clock,
        entropy: Entropy::System,
        location: location(&config)?,
        kek: global.kek(&config),
        settings: settings(&config, practice)?,
        state: Some(config.state()),
        relay: config.mail.relay.clone(),
        http_threads: threads,
        limits: config.limits.clone(),
    };
    let mut assembled = Assembled::with_source(parts, Some(global.key_source(&config)))?;
    assembled.worker.keep_content_for(chrono::Duration::days(config.keys.destroy_after_days.into()));
    Ok(Prepared { config, assembled, rehearsal })
}

async fn serve(prepared: Prepared, listeners: Listeners) -> Result<ExitCode, Failure> {
    let Prepared { config, assembled, rehearsal } = prepared;
    let mut stop = Stop::listen()?;
    let metrics = listeners.metrics.map(|listener| assembled.serve_metrics(listener)).transpose();
    let metrics = metrics.map_err(Failure::system("to answer"))?;
    if let Some(metrics) = &metrics {
        item("metrics", &format!("http://{}/metrics", metrics.address));
    }
    let listener = listeners.public;
    if let Some((hand, present)) = rehearsal {
        rehearse(&assembled, listener, &config, hand, present, stop).await?;
        stop_metrics(metrics).await;
        return Ok(ExitCode::SUCCESS);
    }
    let running = assembled.run(listener).await.map_err(Failure::system("to answer"))?;
    announce(&running.app, running.address(), &config);
    stop.wait().await;
    tracing::info!("stopping: what was begun is finished; a second signal ends it at once");
    tokio::select! {
        () = async { running.stop().await; stop_metrics(metrics).await } => Ok(ExitCode::SUCCESS),
        () = stop.wait() => {
            tracing::warn!("ended by a second signal; what was begun is taken up again by whoever starts next");
            std::process::exit(1)
        }
    }
}

/// Serves a practice installation, whose clock can be moved while it runs.
async fn rehearse(
    assembled: &Assembled,
    listener: TcpListener,
    config: &Config,
    hand: Arc<VirtualClock>,
    present: DateTime<Utc>,
    mut stop: Stop,
) -> Result<(), Failure> {
    let state = config.state();
    let (door, requests) = practice::open(&state)?;
    let practice =
        Practice { app: &assembled.app, worker: &assembled.worker, hand, file: ClockFile::below(&state) };
    // What became due while no server ran happens now, at its own instant.
    practice.catch_up(present).await;
    let serving = assembled.serve(listener).await.map_err(Failure::system("to answer"))?;
    announce(&assembled.app, serving.address, config);
    practice.run(requests, stop.wait()).await?;
    drop(door);
    serving.stop().await;
    assembled.app.keep_record_now().await;
    Ok(())
}

/// The signals that end a server.
///
/// Writing to a reader who went away is none of them. A program that was not allowed to start itself again is left with
/// the default for it, which is to end.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::system("to listen to signals"));
        let _goes_on = listen(SignalKind::pipe())?;
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Where is listened.
struct Listeners {
    public: TcpListener,
    metrics: Option<TcpListener>,
}

impl Listeners {
    fn open(config: &Config) -> Result<Self, Failure> {
        let public = listen(config.server.listen, "server")?;
        let metrics = config.metrics.listen.map(|address| listen(address, "metrics")).transpose()?;
        Ok(Self { public, metrics })
    }
}

async fn stop_metrics(serving: Option<Serving>) {
    if let Some(serving) = serving {
        serving.stop().await;
    }
}

fn listen(address: SocketAddr, section: &str) -> Result<TcpListener, Failure> {
    let elsewhere = format!("choose another in [{section}] listen of the configuration");
    TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::unfit(
            format!("{address} is taken by another program"),
            format!("{elsewhere}, or see who has it: ss -ltnp"),
        ),
        io::ErrorKind::PermissionDenied => Failure::unfit(
            format!("{address} may not be used by this user: ports below 1024 are reserved"),
            format!("{elsewhere}, with a proxy in front of it"),
        ),
        io::ErrorKind::AddrNotAvailable => {
            Failure::unfit(format!("{address} is no address of this machine"), elsewhere)
        }
        _ => Failure::unfit(format!("{address} cannot be listened on: {error}"), elsewhere),
    })
}

fn announce(app: &App, address: SocketAddr, config: &Config) {
    let key = match app.server_key() {
        Ok(key) => format!("server key {}", key.fingerprint()),
        Err(_) => "WITHOUT its key: only what is public is served, see /readyz".to_owned(),
    };
    say(&format!("embargod answers at http://{address} as {} · {key}", config.server.url));
    if app.settings.practice {
        item("clock", &format!("PRACTICE · {} · move it: embargod practice advance 8d", shown(app)));
    }
}

fn shown(app: &App) -> String {
    display_instant(app.clock.now().trunc_subsecs(0), Tz::UTC)
}

async fn tell_whether_ready(prepared: &Prepared) -> ExitCode {
    let server = &prepared.config.server;
    let reasons = prepared.assembled.app.unready().await;
    for reason in &reasons {
        item("FAIL", &reason.to_string());
    }
    if !reasons.is_empty() {
        return ExitCode::FAILURE;
    }
    item("ok", &format!("would answer at http://{} as {}", server.listen, server.url));
    ExitCode::SUCCESS
}
