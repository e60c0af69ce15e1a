//! `embargod backup`: everything the database holds, encrypted to people, while the server goes on working.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::console::{Console, Global, recovery_path};
use super::failure::Failure;
use super::{files, screen};
use crate::app::Refusal;
use crate::app::backup::{self, Copied, CopyError};
use crate::app::installation::load_server_key;
use crate::openpgp::{Acceptance, Certificate, SealingWriter, SessionKey, StreamError};

/// Arguments of `embargod backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    embargod backup /backup/embargod-$(date +%F).pgp\n  \
    embargod backup --to operator.asc --to ada.asc /backup/embargod.pgp\n  \
    embargod backup - | ssh vault.example 'cat > embargod.pgp'\n\n\
    The server may go on working: the backup is one state of the database. Without --to it is encrypted to the \
    maintainers who have a recovery file. It never holds the key-encryption key: keep a copy of that elsewhere, or \
    the recovery files. Back: embargod restore --help")]
pub(super) struct BackupArguments {
    /// A new file; `-` for standard output.
    pub file: PathBuf,
    /// The OpenPGP certificate of somebody who may open it; repeat it for more.
    #[arg(long = "to", value_name = "FILE")]
    pub to: Vec<PathBuf>,
}

/// Writes the backup, and says what is in it.
pub(super) fn run(global: &Global, arguments: &BackupArguments) -> Result<ExitCode, Failure> {
    let console = Console::open(global)?;
    let to = recipients(&console, &arguments.to)?;
    let file = &arguments.file;
    if file == Path::new("-") {
        encrypt(&console, &to, std::io::stdout())?;
        return Ok(ExitCode::SUCCESS);
    }
    if file.exists() {
        return Err(Failure::unfit(
            format!("{} is there already; nothing was written", file.display()),
            "name a new file: a backup replaces none",
        ));
    }
    // Whoever sees the name finds a whole backup behind it.
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = file.with_file_name(name);
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let opened = opened.map_err(Failure::file(&partial, "made"))?;
    let kept = opened.try_clone().map_err(Failure::file(&partial, "made"))?;
    let written = encrypt(&console, &to, opened).and_then(|copied| {
        kept.sync_all().map_err(Failure::file(&partial, "written"))?;
        fs::rename(&partial, file).map_err(Failure::file(file, "written"))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        folder.and_then(|folder| folder.sync_all()).map_err(Failure::file(file, "written"))?;
        Ok(copied)
    });
    let copied = written.inspect_err(|_| {
        // What was begun is of no use.
        let _ = fs::remove_file(&partial);
    })?;
    screen::item(
        "wrote",
        &format!("{}, to {} {}", file.display(), to.len(), if to.len() == 1 { "person" } else { "people" }),
    );
    screen::item("holds", &said(&copied));
    screen::item("not", "the key-encryption key: keep a copy of it where no backup lies");
    Ok(ExitCode::SUCCESS)
}

/// What a copy holds, in a few words.
pub(super) fn said(copied: &Copied) -> String {
    let (rows, entries) = (copied.total(), copied.header.entries);
    format!("{rows} rows of {} tables, an audit log of {entries} entries", copied.rows.len())
}

/// Shows a table that is done, where it is in nobody's way.
pub(super) fn progress(table: &str, rows: i64) {
    let _ = writeln!(std::io::stderr(), "  {table:<20} {rows}");
}

/// A copy that was not made, as a failure with its cure.
pub(super) fn failed(error: CopyError) -> Failure {
    let cure = match &error {
        CopyError::NotEmpty => "name an empty database, or a file that does not exist",
        CopyError::Refused(_) => return Failure::from_copy(error),
        CopyError::NotABackup(_) => "name what `embargod backup` wrote, decrypted",
        CopyError::Moved => "stop the server",
        CopyError::Newer(_) => "install the newer version first",
        _ => "take another backup; this one cannot be trusted",
    };
    Failure::unfit(error.to_string(), cure)
}

impl Failure {
    fn from_copy(error: CopyError) -> Self {
        match error {
            CopyError::Refused(refusal) => refusal.into(),
            other => Self::unfit(other.to_string(), "see what is wrong: embargod doctor"),
        }
    }
}

fn recipients(console: &Console, named: &[PathBuf]) -> Result<Vec<(Certificate, Acceptance)>, Failure> {
    let mut to = Vec::new();
    for path in named {
        let certificate = Certificate::parse(&files::read(path)?).map_err(|error| {
            Failure::unfit(
                format!("{} is no certificate: {error}", path.display()),
                "name what `gpg --armor --export ADDRESS` prints",
            )
        })?;
        to.push((certificate, Acceptance::Strict));
    }
    if named.is_empty() {
        let state = console.config.state();
        let stored = console.store.read_now(|tx| {
            let people = tx.maintainers()?;
            people
                .iter()
                .map(|person| Ok(tx.certificate(&person.certificate)?))
                .collect::<Result<Vec<_>, Refusal>>()
        })?;
        for stored in stored.into_iter().filter(|stored| stored.revoked_at.is_none()) {
            let Ok(certificate) = Certificate::parse(&stored.bytes) else { continue };
            if recovery_path(&state, &certificate.fingerprint()).exists() {
                to.push((certificate, Acceptance::Strict));
            }
        }
    }
    if to.is_empty() {
        return Err(Failure::unfit(
            "there is nobody to encrypt the backup to: no maintainer has a recovery file",
            "name who may open it: embargod backup --to operator.asc FILE",
        ));
    }
    Ok(to)
}

fn encrypt(
    console: &Console,
    to: &[(Certificate, Acceptance)],
    sink: impl Write + Send + Sync,
) -> Result<Copied, Failure> {
    let now = console.clock.now();
    let key = SessionKey::from_random(console.entropy.bytes());
    let server = load_server_key(&console.store)?;
    let stream = |error: StreamError| {
        Failure::unfit(
            format!("the backup cannot be encrypted: {error}"),
            "name other certificates: --to FILE",
        )
    };
    let sealing = SealingWriter::new(sink, to, server.as_ref(), &key, now).map_err(stream)?;
    let mut buffered = BufWriter::with_capacity(1 << 16, sealing);
    let copied = backup::write(&console.store, now, &mut buffered, &mut progress).map_err(failed)?;
    let sealing = buffered.into_inner().map_err(|error| failed(error.into_error().into()))?;
    sealing.finish().map_err(stream)?;
    Ok(copied)
}
