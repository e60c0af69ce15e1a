//! What is done to a log of thousands by who owns the whole database, and that it is found where it begins.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

const LENGTH: i64 = 2_500;
/// Every how many entries one is signed.
const SIGNED: i64 = 1_000;

fn entry(sequence: i64, previous: &[u8]) -> Chained {
    let mut row = Chained {
        sequence,
        at: sequence * 10,
        actor: "operator".to_owned(),
        action: "did".to_owned(),
        embargo_id: String::new(),
        object: format!("thing {sequence}"),
        detail_sealed: vec![1, 2, 3],
        previous_hash: previous.to_vec(),
        hash: Vec::new(),
    };
    row.hash = row.digest();
    row
}

static CHAIN: LazyLock<Vec<Chained>> = LazyLock::new(|| {
    let mut rows: Vec<Chained> = Vec::new();
    for sequence in 1..=LENGTH {
        let previous = rows.last().map(|row| row.hash.clone()).unwrap_or_default();
        rows.push(entry(sequence, &previous));
    }
    rows
});

/// What was signed: every thousandth entry, and by the anchor the last.
fn signed() -> BTreeMap<i64, String> {
    CHAIN
        .iter()
        .filter(|row| row.sequence % SIGNED == 0 || row.sequence == LENGTH)
        .map(|row| (row.sequence, hex(&row.hash)))
        .collect()
}

fn head(rows: &[Chained]) -> (i64, Vec<u8>) {
    rows.last().map(|row| (row.sequence, row.hash.clone())).unwrap_or_default()
}

fn walked(
    rows: &[Chained],
    head: &(i64, Vec<u8>),
    signed: BTreeMap<i64, String>,
) -> Result<(i64, i64), ChainFault> {
    let mut walk = ChainWalk::new(signed);
    rows.iter().try_for_each(|row| walk.step(row))?;
    walk.end(Some((head.0, &head.1)))
}

/// As the database gives them: in the order of their numbers.
fn ordered(mut rows: Vec<Chained>) -> Vec<Chained> {
    rows.sort_by_key(|row| row.sequence);
    rows
}

/// All hashes from `from` on made anew, so that the chain fits itself.
fn rehash(rows: &mut [Chained], from: usize) {
    for index in from..rows.len() {
        rows[index].previous_hash =
            index.checked_sub(1).map(|before| rows[before].hash.clone()).unwrap_or_default();
        rows[index].hash = rows[index].digest();
    }
}

fn edit(row: &mut Chained, field: usize) {
    match field {
        0 => row.at += 1,
        1 => row.actor.push('x'),
        2 => "did not".clone_into(&mut row.action),
        3 => "b7k2-9fq1".clone_into(&mut row.embargo_id),
        4 => row.object.clear(),
        5 => row.detail_sealed[0] ^= 1,
        6 => row.previous_hash.push(0),
        _ => row.hash[0] ^= 1,
    }
}

#[test]
fn a_whole_log_is_confirmed_up_to_the_last_entry_that_was_signed() {
    let rows = &CHAIN[..];
    assert_eq!(walked(rows, &head(rows), BTreeMap::new()), Ok((LENGTH, 0)));
    assert_eq!(walked(rows, &head(rows), signed()), Ok((LENGTH, LENGTH)));
    let mut without_anchor = signed();
    without_anchor.remove(&LENGTH);
    assert_eq!(walked(rows, &head(rows), without_anchor), Ok((LENGTH, 2_000)));
    assert_eq!(walked(&[], &(0, Vec::new()), BTreeMap::new()), Ok((0, 0)));
}

#[test]
fn a_head_that_was_set_back_does_not_hide_the_entries_behind_it() {
    let rows = &CHAIN[..];
    let back = head(&rows[..7]);
    let fault = walked(rows, &back, BTreeMap::new());
    assert_eq!(fault, Err(ChainFault::Head { found: LENGTH, named: 7 }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_entry_is_named(index in 0..CHAIN.len(), field in 0..8_usize) {
        let mut rows = CHAIN.clone();
        edit(&mut rows[index], field);
        let fault = walked(&rows, &head(&CHAIN), BTreeMap::new()).unwrap_err();
        prop_assert_eq!(fault.entry(), CHAIN[index].sequence);
    }

    #[test]
    fn a_changed_entry_is_named_even_if_its_own_hash_was_made_anew(index in 0..CHAIN.len(), field in 0..6_usize) {
        let mut rows = CHAIN.clone();
        edit(&mut rows[index], field);
        rows[index].hash = rows[index].digest();
        let fault = walked(&rows, &head(&CHAIN), BTreeMap::new()).unwrap_err();
        prop_assert_eq!(fault, ChainFault::Changed(CHAIN[index].sequence));
    }

    #[test]
    fn a_removed_entry_is_named(index in 0..CHAIN.len() - 1) {
        let mut rows = CHAIN.clone();
        let removed = rows.remove(index);
        let fault = walked(&rows, &head(&CHAIN), BTreeMap::new()).unwrap_err();
        prop_assert_eq!(fault, ChainFault::Gap(removed.sequence));
    }

    #[test]
    fn the_first_of_two_entries_that_changed_places_is_named(one in 0..CHAIN.len(), other in 0..CHAIN.len()) {
        prop_assume!(one != other);
        let mut rows = CHAIN.clone();
        let (first, second) = (rows[one].sequence, rows[other].sequence);
        rows[one].sequence = second;
        rows[other].sequence = first;
        let fault = walked(&ordered(rows), &head(&CHAIN), BTreeMap::new()).unwrap_err();
        prop_assert_eq!(fault, ChainFault::Changed(first.min(second)));
    }

    #[test]
    fn a_missing_end_is_named_even_if_the_head_was_set_back_with_it(length in 0..CHAIN.len()) {
        let rows = &CHAIN[..length];
        let found = i64::try_from(length).unwrap();
        let truncated = Err(ChainFault::Truncated { found, expected: LENGTH });
        prop_assert_eq!(&walked(rows, &head(&CHAIN), BTreeMap::new()), &truncated);
        prop_assert_eq!(&walked(rows, &head(rows), signed()), &truncated);
    }

    #[test]
    fn a_chain_written_anew_does_not_pass_the_next_signature(
        index in 0..CHAIN.len() - 1,
        field in 0..6_usize,
        remove in any::<bool>(),
    ) {
        let mut rows = CHAIN.clone();
        if remove {
            rows.remove(index);
            for (row, sequence) in rows.iter_mut().zip(1..) {
                row.sequence = sequence;
            }
        } else {
            edit(&mut rows[index], field);
        }
        rehash(&mut rows, index);
        prop_assert!(walked(&rows, &head(&rows), BTreeMap::new()).is_ok(), "it fits itself");
        let fault = walked(&rows, &head(&rows), signed()).unwrap_err();
        let entry = CHAIN[index].sequence;
        // The signatures around it say between which entries; the first is named.
        let before = (entry - 1) / SIGNED * SIGNED;
        let found = i64::try_from(rows.len()).unwrap();
        let expected = if entry > LENGTH / SIGNED * SIGNED && remove {
            ChainFault::Truncated { found, expected: LENGTH }
        } else {
            let signed = (before + SIGNED).min(LENGTH);
            ChainFault::Rewritten { first: before + 1, signed }
        };
        prop_assert_eq!(&fault, &expected);
        prop_assert!(fault.entry() <= entry || remove);
    }
}
