//! Random changes to good input, the same for the same seed.

use embargod::entropy::Entropy;

/// Numbers at which arithmetic goes wrong.
const EDGES: [&[u8]; 6] = [&[0], &[0xFF], &[0x7F], &[0xFF; 4], &[0x7F, 0xFF, 0xFF, 0xFF], &[0; 8]];

/// Draws changes.
pub struct Mutator {
    entropy: Entropy,
}

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self { entropy: Entropy::seeded(seed) }
    }

    fn below(&mut self, bound: usize) -> usize {
        let drawn = u64::from_le_bytes(self.entropy.bytes());
        usize::try_from(drawn % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// One of `kept`, changed in one to eight places, with at most `most` bytes.
    pub fn change(&mut self, kept: &[Vec<u8>], words: &[&str], most: usize) -> Vec<u8> {
        let mut input = self.pick(kept).clone();
        for _ in 0..=self.below(8) {
            self.step(&mut input, kept, words);
        }
        input.truncate(most);
        input
    }

    fn step(&mut self, input: &mut Vec<u8>, kept: &[Vec<u8>], words: &[&str]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(64) + 1);
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = u8::try_from(self.below(256)).unwrap(),
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].to_vec();
                let times = 1 + self.below(16);
                drop(input.splice(at..at, again.repeat(times)));
            }
            4 => drop(input.splice(at..end, self.pick(&EDGES).to_vec())),
            5 if !words.is_empty() => drop(input.splice(at..end, self.pick(words).bytes())),
            6 => {
                // The beginning of this one and the end of another.
                let other = self.pick(kept);
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            7 => input.truncate(at),
            _ => {
                // Two lines change places.
                let mut lines: Vec<Vec<u8>> =
                    input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                let (one, two) = (self.below(lines.len()), self.below(lines.len()));
                if one < lines.len() && two < lines.len() {
                    lines.swap(one, two);
                    *input = lines.concat();
                }
            }
        }
    }
}
