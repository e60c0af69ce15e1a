//! The checksum line of the text form, computed for many messages that share their end.
//!
//! The newer standard does without it, but gpg 2.2 takes the last line for data when it is missing and the base 64
//! happens to need no padding. The checksum is linear, so the sum of head and body follows from the sum of each and
//! from what shifting by the body's length does to a sum: 24 numbers, computed once.

const INITIAL: u32 = 0x00b7_04ce;
const POLYNOMIAL: u32 = 0x0186_4cfb;
const TOP: u32 = 0x0100_0000;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index: u32 = 0;
    while index < 256 {
        let mut sum = index << 16;
        let mut bit = 0;
        while bit < 8 {
            sum = step(sum);
            bit += 1;
        }
        table[index as usize] = sum;
        index += 1;
    }
    table
};

/// Shifts a sum by one bit.
const fn step(sum: u32) -> u32 {
    let shifted = sum << 1;
    if shifted & TOP == 0 { shifted } else { shifted ^ POLYNOMIAL }
}

fn update(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, byte| {
        let [_, top, _, _] = sum.to_be_bytes();
        (sum << 8) & (TOP - 1) ^ TABLE[usize::from(top ^ byte)]
    })
}

/// A linear map of sums: the images of the 24 single bits.
#[derive(Clone, Copy, Debug)]
struct Map([u32; 24]);

impl Map {
    fn apply(&self, sum: u32) -> u32 {
        (0..24).filter(|bit| sum >> bit & 1 == 1).fold(0, |image, bit| image ^ self.0[bit])
    }

    /// First `self`, then `other`.
    fn then(&self, other: &Self) -> Self {
        Self(self.0.map(|image| other.apply(image)))
    }
}

/// The end of a text whose beginning varies.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedEnd {
    sum: u32,
    shift: Map,
}

impl SharedEnd {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut shift = Map(std::array::from_fn(|bit| 1 << bit));
        let mut power = Map(std::array::from_fn(|bit| update(1 << bit, &[0])));
        let mut count = bytes.len();
        while count > 0 {
            if count % 2 == 1 {
                shift = shift.then(&power);
            }
            power = power.then(&power);
            count /= 2;
        }
        Self { sum: update(0, bytes), shift }
    }

    /// The checksum of `beginning` followed by this end.
    pub(super) fn after(&self, beginning: &[u8]) -> [u8; 3] {
        bytes(self.shift.apply(update(INITIAL, beginning)) ^ self.sum)
    }
}

/// The checksum of `data`.
pub(super) fn of(data: &[u8]) -> [u8; 3] {
    bytes(update(INITIAL, data))
}

fn bytes(sum: u32) -> [u8; 3] {
    let [_, high, middle, low] = sum.to_be_bytes();
    [high, middle, low]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sum_of_the_standard_test_text_is_known() {
        assert_eq!(of(b"123456789"), [0x21, 0xcf, 0x02]);
        assert_eq!(of(b""), [0xb7, 0x04, 0xce]);
    }

    proptest! {
        #[test]
        fn two_parts_sum_to_the_sum_of_the_whole(
            head in prop::collection::vec(any::<u8>(), 0..600), body in prop::collection::vec(any::<u8>(), 0..3000)
        ) {
            prop_assert_eq!(SharedEnd::of(&body).after(&head), of(&[head, body].concat()));
        }
    }
}
