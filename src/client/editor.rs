//! The user's editor, on a file of its own.

use std::io;
use std::path::Path;
use std::process::Command;

/// Opens `path` in `$VISUAL`, `$EDITOR` or `vi`, and waits; says whether it ended well.
pub fn edit(path: &Path) -> io::Result<bool> {
    let set = |name| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    // The variable may hold arguments, as in "code --wait", so a shell takes it apart.
    let status =
        Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(path).status()?;
    Ok(status.success())
}
