//! Plain text as people type it, cut into paragraphs, lists and quoted code. No markup is understood, so none
//! can be smuggled in.

/// A piece of text between empty lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Running text; its line breaks are spaces.
    Paragraph(String),
    /// Lines that begin with `- ` or `* `.
    List(Vec<String>),
    /// Lines that are all indented: code, kept as it is but for the indentation that all share.
    Verbatim(String),
}

/// Cuts `text` at its empty lines.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            lines.push(line);
        } else if !lines.is_empty() {
            blocks.push(block(&lines));
            lines.clear();
        }
    }
    blocks
}

fn block(lines: &[&str]) -> Block {
    if lines.iter().all(|line| line.starts_with("    ") || line.starts_with('\t')) {
        let blank = |line: &&str| line.len() - line.trim_start().len();
        let margin = lines.iter().map(blank).min().unwrap_or(0);
        // Indentation is what all lines share in length; where it mixes tabs and wider blanks, a cut falls short.
        let cut = |line: &&str| line.get(margin..).unwrap_or(line).to_owned();
        return Block::Verbatim(lines.iter().map(cut).collect::<Vec<_>>().join("\n"));
    }
    let item =
        |line: &str| line.trim_start().strip_prefix(['-', '*']).is_some_and(|rest| rest.starts_with(' '));
    if !item(lines[0]) {
        return Block::Paragraph(lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "));
    }
    let mut items: Vec<String> = Vec::new();
    for line in lines {
        match items.last_mut() {
            Some(last) if !item(line) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => items.push(line.trim_start()[1..].trim().to_owned()),
        }
    }
    Block::List(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_lines_join_while_lists_and_indented_code_keep_their_shape() {
        let text = "One\r\nparagraph.\n\n\n- first\n  goes on\n- second\n\n    a = 1\n      b\n\n* not\n";
        assert_eq!(
            blocks(text),
            [
                Block::Paragraph("One paragraph.".to_owned()),
                Block::List(vec!["first goes on".to_owned(), "second".to_owned()]),
                Block::Verbatim("a = 1\n  b".to_owned()),
                Block::List(vec!["not".to_owned()]),
            ]
        );
    }

    #[test]
    fn a_minus_sign_is_not_a_list_and_blank_text_is_nothing() {
        assert_eq!(blocks("-1 is less than 0"), [Block::Paragraph("-1 is less than 0".to_owned())]);
        assert_eq!(blocks(" \n\t\n"), []);
        assert_eq!(blocks("- "), [Block::List(vec![String::new()])]);
    }
}
