//! A week of an embargo in a few seconds. Everything in it really happens: a server with its database, real
//! HTTP, real SMTP over a loopback socket, real OpenPGP keys that are thrown away, on a virtual clock.
//!
//! It ends with a scan: nothing embargoed was readable before the lift, all of what is public is after it.

mod cast;
mod evidence;
mod material;
mod script;
mod stage;
mod story;

use std::net::TcpListener;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::demo::rehearsal::script::Script;
use crate::demo::rehearsal::stage::Stage;

/// What the visitor asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The visitor's own patch instead of ours for the main branch.
    pub fix: Option<PathBuf>,
    /// The visitor's certificate: one more packager, whose mail only the visitor can open.
    pub to: Option<PathBuf>,
    /// End after the last step instead of serving the result.
    pub exit: bool,
    /// Where to leave everything that was published, mailed, stored and logged.
    pub keep: Option<PathBuf>,
    /// The port to serve on; another one if it is taken.
    pub port: u16,
}

/// A step that did not hold.
#[derive(Debug, thiserror::Error)]
#[error("this did not hold: {0}")]
pub struct Fault(String);

impl Fault {
    fn new(what: &str) -> Self {
        Self(what.to_owned())
    }

    /// Names the step that failed, with its cause.
    fn because<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

/// Rehearses, then serves the result until interrupted. Returns the exit code: 0 only if every step held.
pub async fn run(options: Options) -> i32 {
    let mut script = Script::new();
    script.say(
        "embargod demo · a week in a few seconds, on a virtual clock · everything below really happens\n",
    );
    match rehearse(options, &mut script).await {
        Ok(()) => 0,
        Err(fault) => {
            script.say(&format!("\nFAILED  {fault}"));
            1
        }
    }
}

async fn rehearse(options: Options, script: &mut Script) -> Result<(), Fault> {
    let listener = listen(options.port, script)?;
    // From here on Ctrl-C and SIGTERM no longer kill: what was put up is taken down first.
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(Fault::because("Ctrl-C could be listened to"))?;
    let mut terminate =
        signal(SignalKind::terminate()).map_err(Fault::because("a signal could be listened to"))?;
    let mut stage = Stage::set(&options, listener).await?;
    let mut outcome = tokio::select! {
        told = tell(&mut stage, &options, script) => told,
        _ = interrupt.recv() => Err(Fault::new("it was left to come to its end")),
        _ = terminate.recv() => Err(Fault::new("it was left to come to its end")),
    };
    if outcome.is_ok() && !options.exit {
        script.say(&format!(
            "\n{} shows the result.  Ctrl-C ends.  Try your own:  embargod demo --fix my.patch --to my-key.asc",
            stage.line.base_url
        ));
        let ended = tokio::select! {
            ended = interrupt.recv() => ended,
            ended = terminate.recv() => ended,
        };
        outcome = ended.ok_or_else(|| Fault::new("Ctrl-C was awaited"));
    }
    stage.strike().await;
    outcome
}

/// Plays the story and leaves what the visitor asked for.
async fn tell(stage: &mut Stage, options: &Options, script: &mut Script) -> Result<(), Fault> {
    story::play(stage, script).await?;
    if let Some(keep) = &options.keep {
        evidence::keep(stage, keep).await?;
        script.say(&format!("kept in {}: public/ mail/ state/ log/", keep.display()));
    }
    if let Some(mail) = evidence::visitors_mail(stage, options.keep.as_deref())? {
        script.say(&format!("your mail: {0}   open it with: gpg -d {0}", mail.display()));
    }
    Ok(())
}

fn listen(port: u16, script: &mut Script) -> Result<TcpListener, Fault> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(listener) => Ok(listener),
        Err(_) => {
            let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(Fault::because("a port was free"))?;
            let other = listener.local_addr().map_err(Fault::because("a port was free"))?.port();
            script.say(&format!("port {port} is taken; using {other}\n"));
            Ok(listener)
        }
    }
}
