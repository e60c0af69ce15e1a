//! Seeds, and how much of everything is tried.

use embargod::entropy::Entropy;

/// What a run was asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The seed of round 0; every later round counts on from here.
    pub seed: u64,
    long: bool,
    rounds: Option<usize>,
}

impl Scale {
    /// Reads `EMBARGOD_FAULTS` (`long`, or short), `EMBARGOD_FAULTS_SEED` and `EMBARGOD_FAULTS_ROUNDS`. A round that
    /// failed is played again alone with its seed and one round.
    pub fn of_this_run() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
        };
        Self {
            seed: number("EMBARGOD_FAULTS_SEED").unwrap_or(1),
            long: std::env::var("EMBARGOD_FAULTS").is_ok_and(|text| text == "long"),
            rounds: number("EMBARGOD_FAULTS_ROUNDS").map(|count| usize::try_from(count).unwrap()),
        }
    }

    /// How many rounds: few for every change, many before a release.
    pub fn rounds(&self, short: usize, long: usize) -> usize {
        self.rounds.unwrap_or(if self.long { long } else { short })
    }
}

/// Repeatable chance.
pub struct Dice(Entropy);

impl Dice {
    pub fn of(seed: u64) -> Self {
        Self(Entropy::seeded(seed))
    }

    /// A number below `end`.
    pub fn below(&self, end: u64) -> u64 {
        u64::from_le_bytes(self.0.bytes()) % end.max(1)
    }

    /// One of these.
    pub fn one_of<'a, T>(&self, choices: &'a [T]) -> &'a T {
        let count = u64::try_from(choices.len()).unwrap();
        &choices[usize::try_from(self.below(count)).unwrap()]
    }
}
