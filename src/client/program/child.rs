//! One run of a program: bytes in, bytes out, and its words if it fails.

use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use super::ProgramError;

/// What a program left.
pub(super) struct Outcome {
    pub success: bool,
    pub output: Vec<u8>,
    /// What it said to its user, without the bytes that could act on a terminal.
    pub words: String,
}

/// Runs `program` with `input` on its standard input.
pub(super) fn run(
    program: &'static str,
    arguments: &[OsString],
    input: &[u8],
) -> Result<Outcome, ProgramError> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(terminal) = terminal() {
        command.env("GPG_TTY", terminal);
    }
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => ProgramError::Absent { program },
        _ => ProgramError::Io { program, source },
    };
    let mut child = command.spawn().map_err(failed)?;
    let stdin = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that stops reading says why by itself.
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(input);
            }
        });
        child.wait_with_output()
    });
    let output = output.map_err(failed)?;
    let words = String::from_utf8_lossy(&output.stderr);
    let words =
        words.chars().filter(|c| *c == '\n' || !crate::domain::text::is_forbidden(*c)).collect::<String>();
    Ok(Outcome {
        success: output.status.success(),
        output: output.stdout,
        words: words.trim_end().to_owned(),
    })
}

impl Outcome {
    /// The output, or the failure.
    pub(super) fn or_failed(
        self,
        program: &'static str,
        doing: &'static str,
    ) -> Result<Vec<u8>, ProgramError> {
        if self.success {
            Ok(self.output)
        } else {
            Err(ProgramError::Failed { program, doing, words: self.words })
        }
    }
}

/// A passphrase dialogue on a text terminal must be told where it is: the program's own input is a pipe.
fn terminal() -> Option<std::path::PathBuf> {
    if std::env::var_os("GPG_TTY").is_some() || !std::io::stdin().is_terminal() {
        return None;
    }
    std::fs::read_link("/proc/self/fd/0").ok().filter(|path| path.starts_with("/dev"))
}
