//! What changed between two uploads of a fix, in the manner of `git range-diff`.
//!
//! Promises: the comparison of the same two fixes is always the same, and its cost is bounded: a difference
//! that would take too long to work out is stated by its size. Line numbers, object names and the words after
//! `@@` do not count as changes, for they follow from other commits.
//!
//! The printed text repeats the fix. It is for people who may see the fix.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;

use similar::TextDiff;

use super::Fix;
use super::diff::{Content, FileDiff};
use super::facts::PatchFacts;
use super::mbox::Mail;
use super::text::{lines, utf8_or_latin1};

/// How the patches of two fixes relate.
#[derive(Clone, PartialEq, Eq)]
pub struct Comparison {
    /// In the order of the new fix, then what the old one alone had.
    pub pairs: Vec<Pair>,
}

/// A patch in both fixes, or in one of them. Numbers count from 1.
#[derive(Clone, PartialEq, Eq)]
pub enum Pair {
    /// The same author, message and change.
    Identical {
        /// Its number in the old fix.
        old: usize,
        /// Its number in the new fix.
        new: usize,
        /// Its subject.
        subject: Option<String>,
    },
    /// The same patch, told otherwise or changed.
    Changed {
        /// Its number in the old fix.
        old: usize,
        /// Its number in the new fix.
        new: usize,
        /// Its subject in the new fix.
        subject: Option<String>,
        /// A unified diff of the two patches.
        difference: String,
    },
    /// Dropped.
    OnlyOld {
        /// Its number in the old fix.
        old: usize,
        /// Its subject.
        subject: Option<String>,
    },
    /// Added.
    OnlyNew {
        /// Its number in the new fix.
        new: usize,
        /// Its subject.
        subject: Option<String>,
    },
}

/// Pairs the patches of two fixes, by patch-id, then by subject, and says what changed in each pair.
pub fn compare(old: &Fix, new: &Fix) -> Comparison {
    let (olds, news) = (&old.facts.patches, &new.facts.patches);
    let mut partners = Partners { of_new: vec![None; news.len()], old_taken: vec![false; olds.len()] };
    partners.pair(olds, news, |patch| patch.patch_id);
    partners.pair(olds, news, |patch| patch.subject.as_deref());
    // Plain diffs have no subject. Two of them are taken for two versions of the same patch.
    if let ([old], [new]) = (olds.as_slice(), news.as_slice())
        && (old.subject.is_none() || new.subject.is_none())
    {
        partners.of_new[0] = Some(0);
        partners.old_taken[0] = true;
    }
    let (old_mails, new_mails): (Vec<_>, Vec<_>) = (old.patches().collect(), new.patches().collect());
    let mut budget = BUDGET;
    let both = partners.of_new.iter().zip(news).enumerate().map(|(at, (partner, facts))| {
        let (new_number, subject) = (at + 1, facts.subject.clone());
        let Some(partner) = *partner else { return Pair::OnlyNew { new: new_number, subject } };
        let before = Sections::of(&old.bytes, old_mails[partner]);
        let after = Sections::of(&new.bytes, new_mails[at]);
        match before.difference(&after, &mut budget) {
            None => Pair::Identical { old: partner + 1, new: new_number, subject },
            Some(difference) => Pair::Changed { old: partner + 1, new: new_number, subject, difference },
        }
    });
    let mut pairs: Vec<Pair> = both.collect();
    let dropped = partners.old_taken.iter().zip(olds).enumerate().filter(|(_, (taken, _))| !**taken);
    pairs.extend(
        dropped.map(|(at, (_, facts))| Pair::OnlyOld { old: at + 1, subject: facts.subject.clone() }),
    );
    Comparison { pairs }
}

struct Partners {
    of_new: Vec<Option<usize>>,
    old_taken: Vec<bool>,
}

impl Partners {
    /// Pairs patches that are still alone and have the same key, in order.
    fn pair<'facts, Key: Eq + Hash>(
        &mut self,
        olds: &'facts [PatchFacts],
        news: &'facts [PatchFacts],
        key: impl Fn(&'facts PatchFacts) -> Option<Key>,
    ) {
        let mut waiting: HashMap<Key, VecDeque<usize>> = HashMap::new();
        for (at, old) in olds.iter().enumerate().filter(|(at, _)| !self.old_taken[*at]) {
            if let Some(key) = key(old) {
                waiting.entry(key).or_default().push_back(at);
            }
        }
        for (partner, new) in self.of_new.iter_mut().zip(news).filter(|(partner, _)| partner.is_none()) {
            *partner = key(new).and_then(|key| waiting.get_mut(&key)).and_then(VecDeque::pop_front);
            if let Some(old) = *partner {
                self.old_taken[old] = true;
            }
        }
    }
}

/// A patch in parts that are compared one by one: message first, then files by name.
struct Sections {
    parts: Vec<(String, String)>,
}

impl Sections {
    fn of(upload: &[u8], mail: &Mail) -> Self {
        let text = mail.body.text(upload);
        let message = utf8_or_latin1(mail.body.opening(upload).0);
        let named = |name: &str, value: &Option<String>| match value {
            Some(value) => format!("{name}: {value}\n"),
            None => String::new(),
        };
        let head = named("Author", &mail.author) + &named("Subject", &mail.subject);
        let mut parts = vec![("message".to_owned(), head + "\n" + message.trim_end() + "\n")];
        parts.extend(mail.body.files().map(|file| (file.change.path.clone(), file_text(text, file))));
        Self { parts }
    }

    /// A readable difference; none if both are the same.
    fn difference(&self, new: &Self, budget: &mut usize) -> Option<String> {
        let mut waiting: HashMap<&str, VecDeque<&str>> = HashMap::new();
        for (name, text) in &self.parts {
            waiting.entry(name).or_default().push_back(text);
        }
        let mut difference = String::new();
        for (name, text) in &new.parts {
            let before = waiting.get_mut(name.as_str()).and_then(VecDeque::pop_front).unwrap_or_default();
            explain(name, before, text, budget, &mut difference);
        }
        for (name, _) in &self.parts {
            if let Some(before) = waiting.get_mut(name.as_str()).and_then(VecDeque::pop_front) {
                explain(name, before, "", budget, &mut difference);
            }
        }
        (!difference.is_empty()).then_some(difference)
    }
}

/// A file of a diff without what changes by itself. Of a binary file, the object names stand for the content.
fn file_text(text: &[u8], file: &FileDiff) -> String {
    let binary = file.form == Content::Binary;
    let header = lines(&text[file.header.clone()]).filter(|line| binary || !line.starts_with(b"index "));
    let content = lines(&text[file.content.clone()]).filter(|_| !binary).map(|line| match line {
        [b'@', ..] => b"@@\n".as_slice(),
        b"\n" => b" \n",
        line => line,
    });
    header.chain(content).map(utf8_or_latin1).collect()
}

/// How many steps all differences of one comparison may take: the squares of the changed stretches, in lines.
const BUDGET: usize = 100_000_000;

/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;

fn explain(name: &str, old: &str, new: &str, budget: &mut usize, difference: &mut String) {
    if old == new {
        return;
    }
    difference.extend(["## ", &visible(name), " ##\n"]);
    let (removed, added) = changed_lines(old, new);
    let cost = (removed + added).saturating_mul(removed + added);
    if cost > *budget {
        let counts =
            [&removed.to_string(), " lines replaced by ", &added.to_string(), "; too many to compare here\n"];
        difference.extend(counts);
        return;
    }
    *budget -= cost;
    let unified = TextDiff::from_lines(old, new).unified_diff().context_radius(CONTEXT).to_string();
    for line in unified.lines() {
        difference.push_str(&visible(line));
        difference.push('\n');
    }
}

/// Counts the lines of both texts between their common beginning and their common end.
fn changed_lines(old: &str, new: &str) -> (usize, usize) {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[before..], &new[before..]);
    let after = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    (old.len() - after, new.len() - after)
}

/// A line in which control characters can be seen instead of doing something.
fn visible(line: &str) -> String {
    line.chars()
        .map(|character| match character {
            '\t' => '\t',
            '\u{7f}' => '\u{2421}',
            // The pictures of control characters stand in the same order as these.
            '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
            '\u{80}'..='\u{9f}' => '\u{fffd}',
            other => other,
        })
        .collect()
}

impl Comparison {
    /// Whether both fixes hold the same patches in the same order.
    pub fn is_identical(&self) -> bool {
        self.pairs.iter().all(|pair| matches!(pair, Pair::Identical { old, new, .. } if old == new))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pairs.iter().try_for_each(|pair| write!(formatter, "{pair}"))
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (old, new, verdict, subject) = match self {
            Self::Identical { old, new, subject } => (Some(old), Some(new), "same", subject),
            Self::Changed { old, new, subject, .. } => (Some(old), Some(new), "changed", subject),
            Self::OnlyOld { old, subject } => (Some(old), None, "dropped", subject),
            Self::OnlyNew { new, subject } => (None, Some(new), "added", subject),
        };
        let number = |number: Option<&usize>| number.map_or_else(|| "-".to_owned(), ToString::to_string);
        let subject = subject.as_deref().unwrap_or("(no subject)");
        writeln!(formatter, "{:>3} -> {:>3}  {verdict:<8} {subject}", number(old), number(new))?;
        if let Self::Changed { difference, .. } = self {
            difference.lines().try_for_each(|line| writeln!(formatter, "    {line}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Comparison {
    /// Says the size only: a fix is secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Comparison({} pairs)", self.pairs.len())
    }
}

impl fmt::Debug for Pair {
    /// Says the numbers only: a fix is secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identical { old, new, .. } => write!(formatter, "Identical({old}, {new})"),
            Self::Changed { old, new, .. } => write!(formatter, "Changed({old}, {new})"),
            Self::OnlyOld { old, .. } => write!(formatter, "OnlyOld({old})"),
            Self::OnlyNew { new, .. } => write!(formatter, "OnlyNew({new})"),
        }
    }
}
