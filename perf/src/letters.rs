//! A workload of the size of a request: three stages that each serialise a map and parse it into a new one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Maps that wait in a ring: at 40 kB each, a few.
pub const CAPACITY: usize = 64;

/// Entries of the map.
const ENTRIES: usize = 100;

/// Most jobs, so that their bytes of JSON can be counted in 64 bits.
pub const MOST_JOBS: u64 = u64::MAX / (3 * JSON_BYTES);

/// Bytes of the map as JSON.
const JSON_BYTES: u64 = 20_601;

/// Letters of each key and each value.
const LETTERS: usize = 100;

/// Random, but the same in every run.
const SEED: u64 = 0x5eed;

/// The map that goes round.
pub type Letters = HashMap<String, String>;

/// A map on its way.
pub struct Job<'a> {
    pub map: Cow<'a, Letters>,
    /// Bytes of JSON so far.
    pub bytes: u64,
    /// Time inside serialising, parsing and dropping so far.
    pub work: Duration,
    /// Time inside comparing.
    pub check: Duration,
    /// Whether the map is equal to the first.
    pub right: bool,
}

impl<'a> Job<'a> {
    /// A map that has not been anywhere.
    pub fn new(map: &'a Letters) -> Self {
        let none = Duration::ZERO;
        Self {
            map: Cow::Borrowed(map),
            bytes: 0,
            work: none,
            check: none,
            right: false,
        }
    }
}

/// What the jobs came to.
#[derive(Default)]
pub struct Total {
    pub jobs: u64,
    pub bytes: u64,
    pub work: Duration,
    pub check: Duration,
    pub right: u64,
}

impl Total {
    pub fn add(&mut self, job: &Job) {
        self.jobs += 1;
        self.bytes += job.bytes;
        self.work += job.work;
        self.check += job.check;
        self.right += u64::from(job.right);
    }
}

/// The work of one stage: the map becomes text, the text a new map, the old one is dropped.
///
/// # Errors
/// As `serde_json` has them; a map of text has none.
pub fn round_trip<'a>(text: &mut Vec<u8>, mut job: Job<'a>) -> Result<Job<'a>, serde_json::Error> {
    let start = Instant::now();
    text.clear();
    serde_json::to_writer(&mut *text, &*job.map)?;
    job.map = Cow::Owned(serde_json::from_slice(text)?);
    job.bytes += text.len() as u64;
    job.work += start.elapsed();
    Ok(job)
}

/// An instance of the first and the second stage.
pub fn trip<'a>() -> impl FnMut(Job<'a>) -> Result<Job<'a>, serde_json::Error> + Send {
    let mut text = Vec::new();
    move |job| round_trip(&mut text, job)
}

/// An instance of the third stage, which also looks at what came out.
pub fn last<'a>(
    original: &'a Letters,
) -> impl FnMut(Job<'a>) -> Result<Job<'a>, serde_json::Error> + Send {
    let mut trip = trip();
    move |job| trip(job).map(|job| check(job, original))
}

/// Looks at what came out.
pub fn check<'a>(mut job: Job<'a>, original: &Letters) -> Job<'a> {
    let start = Instant::now();
    job.right = *job.map == *original;
    job.check += start.elapsed();
    job
}

/// The map that goes in.
pub fn letters() -> Letters {
    let mut random = SplitMix(SEED);
    (0..ENTRIES)
        .map(|_| (random.word(), random.word()))
        .collect()
}

/// Sebastiano Vigna's splitmix64.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn word(&mut self) -> String {
        const ALPHABET: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let letter = |_| char::from(ALPHABET[(self.next() % 52) as usize]);
        (0..LETTERS).map(letter).collect()
    }
}
