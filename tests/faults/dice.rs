//! Seeds, and how much of everything is tried.

use embargod::entropy::Entropy;

/// What a run was asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The seed of round 0; every later round counts on from here.
    pub seed: u64,
    long: bool,
    rounds: Option<usize>,
    /// How many rounds are played at the same time, where they do not share a server.
    pub together: usize,
}

impl Scale {
    /// Reads `EMBARGOD_FAULTS` (`long`, or short), `EMBARGOD_FAULTS_SEED` and `EMBARGOD_FAULTS_ROUNDS`. A round that
    /// failed is played again alone with its seed and one round. `EMBARGOD_FAULTS_TOGETHER` is how many are played side
    /// by side: much of a round is waiting for a lease to run out.
    pub fn of_this_run() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
        };
        Self {
            seed: number("EMBARGOD_FAULTS_SEED").unwrap_or(1),
            long: std::env::var("EMBARGOD_FAULTS").is_ok_and(|text| text == "long"),
            rounds: number("EMBARGOD_FAULTS_ROUNDS").map(|count| usize::try_from(count).unwrap()),
            together: number("EMBARGOD_FAULTS_TOGETHER").map_or(4, |count| usize::try_from(count).unwrap()),
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

/// Plays rounds, some of them at the same time, until `count` of them counted; `done` hears of each as it ends and says
/// whether it counts. A round that fails ends them all.
pub async fn play<R, F>(
    scale: Scale,
    count: usize,
    round: impl Fn(usize, u64) -> F,
    mut done: impl FnMut(R) -> bool,
) where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let mut waiting = (0..).zip(scale.seed..);
    let mut playing = tokio::task::JoinSet::new();
    let mut counted = 0;
    loop {
        while counted + playing.len() < count
            && playing.len() < scale.together
            && let Some((number, seed)) = waiting.next()
        {
            playing.spawn(round(number, seed));
        }
        match playing.join_next().await {
            Some(Ok(result)) => counted += usize::from(done(result)),
            Some(Err(failure)) => std::panic::resume_unwind(failure.into_panic()),
            None => return,
        }
    }
}
