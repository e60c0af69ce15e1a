//! Manual pages and completions, made from the same definitions as `--help`, so that they cannot disagree with it.
//!
//! Promises: every command has a page; each says how it is used with an example, what its exit codes mean, which
//! files and variables it heeds, and where to read on. What stands in a text is never taken for a formatter's request.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

/// Arguments of `manual`.
#[derive(Debug, clap::Args)]
pub(super) struct ManualArguments {
    /// Writes a page for each command into this folder, such as `/usr/local/share/man/man1`; without it the main
    /// page goes to standard output
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArguments {
    /// The shell that completes
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// What a program's pages say beyond its `--help`.
pub(super) struct Book {
    /// What exit codes mean where a command says nothing else: a code, and what it says.
    pub exits: &'static [(&'static str, &'static str)],
    /// Files: a path, and what it is.
    pub files: &'static [(&'static str, &'static str)],
    /// Variables that no option stands for.
    pub variables: &'static [(&'static str, &'static str)],
    /// The other program.
    pub other: &'static str,
}

/// A page: its file name, and its text.
pub(super) type Page = (String, String);

/// The pages of the program `A`, the main one first.
pub(super) fn pages<A: CommandFactory>(book: &Book) -> io::Result<Vec<Page>> {
    let mut root = A::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    collect(&root, None, book, &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, parent: Option<&str>, book: &Book, pages: &mut Vec<Page>) -> io::Result<()> {
    let man =
        Man::new(command.clone()).manual("embargod").source(concat!("embargod ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut page = String::from_utf8(page).map_err(io::Error::other)?;
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    page.push_str(&sections(command, parent, book));
    pages.push((format!("{name}.1"), page));
    for inner in shown(command) {
        collect(inner, Some(&name), book, pages)?;
    }
    Ok(())
}

/// The commands inside that have pages: `help` prints what the pages say.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
}

/// What follows the options.
fn sections(command: &Command, parent: Option<&str>, book: &Book) -> String {
    let said = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    let blocks = blocks(&said.unwrap_or_default());
    let mut page = String::new();
    for (title, lines) in blocks.iter().filter(|(title, _)| title != EXITS) {
        heading(&mut page, title);
        body(&mut page, lines);
    }
    let has = |wanted: &str| blocks.iter().any(|(title, _)| title == wanted);
    if !has(EXAMPLES) && !command.has_subcommands() {
        heading(&mut page, EXAMPLES);
        let typed = command.get_bin_name().unwrap_or(command.get_name());
        body(&mut page, &[format!("  {typed}")]);
    }
    heading(&mut page, EXITS);
    match blocks.iter().find(|(title, _)| title == EXITS) {
        Some((_, lines)) => body(&mut page, lines),
        None => list(&mut page, book.exits.iter().copied()),
    }
    heading(&mut page, "ENVIRONMENT");
    let hide = |argument: &&clap::Arg| !argument.is_hide_set();
    let of_options = command.get_arguments().filter(hide).filter_map(|argument| {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        Some((argument.get_env()?.to_str()?.to_owned(), help))
    });
    list(&mut page, of_options);
    list(&mut page, book.variables.iter().copied());
    heading(&mut page, "FILES");
    list(&mut page, book.files.iter().copied());
    heading(&mut page, "SEE ALSO");
    let name = command.get_display_name().unwrap_or(command.get_name());
    let inner = shown(command);
    let mut others: Vec<String> = parent.map(str::to_owned).into_iter().collect();
    others.extend(inner.map(|inner| inner.get_display_name().unwrap_or(inner.get_name()).to_owned()));
    if !others.iter().any(|other| other == book.other) && name != book.other {
        others.push(book.other.to_owned());
    }
    let others: Vec<String> = others.iter().map(|other| format!("\\fB{}\\fR(1)", escaped(other))).collect();
    let _ = writeln!(page, "{}", others.join(",\n"));
    page
}

const EXAMPLES: &str = "EXAMPLES";
const EXITS: &str = "EXIT STATUS";

/// Cuts the text below a command's help into sections: `Examples:` and `Exit codes:` have their own, a line that
/// ends with a colon opens one, everything else is a note.
fn blocks(said: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks: Vec<(String, Vec<String>)> = Vec::new();
    let mut fresh = true;
    for line in said.lines() {
        let flush = !line.starts_with(' ');
        let opened = match line.trim_end() {
            "Example:" | "Examples:" => Some((EXAMPLES.to_owned(), None)),
            line if line.starts_with("Exit codes: ") => {
                Some((EXITS.to_owned(), line.strip_prefix("Exit codes: ").map(str::to_owned)))
            }
            line if flush && line.ends_with(':') => Some((line.trim_end_matches(':').to_uppercase(), None)),
            line if flush && fresh && !line.is_empty() => Some(("NOTES".to_owned(), Some(line.to_owned()))),
            _ => None,
        };
        match (opened, blocks.last_mut()) {
            (Some((title, first)), _) => blocks.push((title, first.into_iter().collect())),
            (None, Some((_, lines))) => lines.push(line.to_owned()),
            (None, None) => {}
        }
        fresh = line.is_empty();
    }
    blocks
}

fn heading(page: &mut String, title: &str) {
    let _ = writeln!(page, ".SH \"{}\"", escaped(&title.replace('"', "")));
}

/// Lines that begin with a blank stand as they are, the others flow.
fn body(page: &mut String, lines: &[String]) {
    let mut fixed = false;
    for line in lines {
        let is_fixed = line.starts_with(' ') || (fixed && line.is_empty());
        if is_fixed != fixed {
            page.push_str(if is_fixed { ".nf\n" } else { ".fi\n" });
            fixed = is_fixed;
        }
        if line.is_empty() {
            page.push_str(".sp\n");
        } else {
            let _ = writeln!(page, "{}", escaped(line));
        }
    }
    if fixed {
        page.push_str(".fi\n");
    }
}

fn list(page: &mut String, items: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>) {
    for (term, what) in items {
        let _ = writeln!(page, ".TP\n\\fB{}\\fR\n{}", escaped(term.as_ref()), escaped(what.as_ref()));
    }
}

/// Text that no formatter takes for more than text.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Shows the main page, or writes all of them; returns how many were written.
pub(super) fn write(pages: &[Page], directory: Option<&Path>) -> io::Result<usize> {
    let Some(directory) = directory else {
        let Some((_, main)) = pages.first() else { return Ok(0) };
        return io::Write::write_all(&mut io::stdout(), main.as_bytes()).map(|()| 0);
    };
    std::fs::create_dir_all(directory)?;
    for (name, page) in pages {
        std::fs::write(directory.join(name), page)?;
    }
    Ok(pages.len())
}

/// What the shell reads to complete the program `A`.
pub(super) fn completions<A: CommandFactory>(shell: Shell) -> Vec<u8> {
    let mut command = A::command();
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What every page must have; called for each program.
    pub(in crate::cli) fn check<A: CommandFactory>(book: &Book) {
        fn names(command: &Command, before: &str, found: &mut Vec<String>) {
            let name = format!("{before}{}", command.get_name());
            found.push(format!("{name}.1"));
            for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
                names(inner, &format!("{name}-"), found);
            }
        }
        let pages = pages::<A>(book).unwrap();
        let mut expected = Vec::new();
        names(&A::command(), "", &mut expected);
        assert_eq!(pages.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), expected);
        for (name, page) in &pages {
            for title in ["EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"] {
                let all = page.split(".SH ").skip(1);
                let found: Vec<_> =
                    all.filter(|part| part.starts_with(&format!("\"{title}\"\n"))).map(str::trim).collect();
                assert_eq!(found.len(), 1, "{name} {title}");
                assert!(found[0].lines().count() > 1, "{name} says nothing in {title}");
            }
            let leaf = !page.contains("\n.SH SUBCOMMANDS");
            assert!(!leaf || page.contains("\n.SH \"EXAMPLES\"\n"), "{name} has no example");
            // A line that begins with a dot is a request, and we know which ones we make.
            for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
                let request = line[1..].split(' ').next().unwrap_or_default();
                let known =
                    ["TH", "SH", "TP", "PP", "RS", "RE", "IP", "br", "nf", "fi", "sp", "ie", "el", "SS"];
                assert!(known.contains(&request), "{name}: {line}");
            }
        }
    }

    #[test]
    fn the_text_below_the_help_becomes_sections_and_examples_keep_their_lines() {
        let said = "Examples:\n  one \\\n      --two\n\nA note.\n\nExit codes: 0 good, 1 bad\nand more.";
        let mut page = String::new();
        for (title, lines) in blocks(said) {
            heading(&mut page, &title);
            body(&mut page, &lines);
        }
        assert_eq!(
            page,
            ".SH \"EXAMPLES\"\n.nf\n  one \\e\n      \\-\\-two\n.sp\n.fi\n.SH \"NOTES\"\nA note.\n.sp\n\
             .SH \"EXIT STATUS\"\n0 good, 1 bad\nand more.\n"
        );
    }

    #[test]
    fn a_text_that_begins_like_a_request_is_text() {
        assert_eq!(escaped(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(escaped("'x\\fB"), "\\&'x\\efB");
    }
}
