//! The plan that a seed makes: a batch of many chunks, nearly all of which were done before, and what happens to the others.

use std::collections::BTreeSet;

use fanfold::model::ids::{LEAF_SIZE, MAX_TREE_CHUNKS};
use fanfold::model::progress::{Node, Sealing};
use fastrand::Rng;

use super::world::sealing;

/// Counts of chunks about which a tree differs: the last leaf of the root, the first ones of a node, the last one of a
/// node, the first one of the next, and the last one of all.
pub const COUNTS: [u32; 12] = [
    255,
    65_280,
    65_535,
    65_536,
    65_537,
    65_792,
    65_793,
    66_100,
    131_072,
    131_073,
    MAX_TREE_CHUNKS - 1,
    MAX_TREE_CHUNKS,
];

/// When functions die.
#[derive(Debug, Clone, Copy)]
pub enum Deaths {
    /// At this turn, counted from 1.
    At(u32),
    /// At this percentage of turns, and at most so many times.
    Often { percent: u32, left: u32 },
}

/// Everything that a seed decides before the simulation starts.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// The chunks that scatter sends and seals the batch with.
    pub chunks: u32,
    /// The chunks with which bury seals the batch by force, while scatter goes on.
    pub forced: Option<u32>,
    /// The chunks that are not done yet when the simulation starts.
    pub live: BTreeSet<u32>,
    /// The leaves that no set above them has when it starts.
    pub open: BTreeSet<u32>,
    /// Whether the message of a chunk is lost when its function dies. Then sweep runs until the batch is complete;
    /// otherwise redeliveries have to do.
    pub lossy: bool,
    /// How often sweep runs meanwhile.
    pub sweeps: u32,
    pub deaths: Deaths,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let chunks = COUNTS[rng.usize(..COUNTS.len())];
        let forced = (rng.u32(..2) == 0).then(|| forced(&mut rng, chunks));
        let deaths = Deaths::Often { percent: rng.u32(..20), left: rng.u32(..12) };
        let (lossy, sweeps) = (rng.bool(), rng.u32(..3));
        Self { lossy, sweeps, deaths, ..Self::with(seed, chunks, forced, &mut rng) }
    }

    /// A plan in which nothing goes wrong but for one death at most.
    pub fn quiet(seed: u64, chunks: u32, forced: Option<u32>) -> Self {
        Self::with(seed, chunks, forced, &mut Rng::with_seed(seed))
    }

    fn with(seed: u64, chunks: u32, forced: Option<u32>, rng: &mut Rng) -> Self {
        let last = sealing(chunks).last_leaf().map_or(0, |(leaf, _)| leaf);
        let forced_last = forced.and_then(|chunks| sealing(chunks).last_leaf()).map(|(leaf, _)| leaf);
        let mut open: BTreeSet<u32> = [last].into_iter().chain(forced_last).collect();
        let near = [0, 255, 256, 257, 511, 512, last.saturating_sub(1), forced_last.unwrap_or(0) + 1];
        let few = (0..rng.u32(1..4)).map(|_| near[rng.usize(..near.len())]);
        open.extend(few.filter(|leaf| *leaf <= last));
        let mut live = BTreeSet::new();
        for leaf in &open {
            let covered = leaf * LEAF_SIZE..chunks.min((leaf + 1) * LEAF_SIZE);
            // A leaf that lacks nothing but its size is full only once it has that.
            let waits_for_its_size = covered.len() < LEAF_SIZE as usize;
            for _ in 0..rng.u32(u32::from(!waits_for_its_size)..3) {
                let places = [covered.start, covered.end - 1, rng.u32(covered.clone())];
                live.insert(places[rng.usize(..places.len())]);
            }
        }
        let deaths = Deaths::At(0);
        Self { seed, chunks, forced, live, open, lossy: false, sweeps: 0, deaths }
    }

    /// The nodes that the root does not have when the simulation starts.
    pub fn open_nodes(&self) -> BTreeSet<u32> {
        self.open.iter().filter_map(|leaf| Node::of(*leaf)).collect()
    }

    pub fn sealing(&self) -> Sealing {
        sealing(self.chunks)
    }
}

/// How many of the chunks there were when the batch was sealed by force.
fn forced(rng: &mut Rng, chunks: u32) -> u32 {
    let less = [1, 2, 255, 256, 257, 512, 65_536, 65_537];
    let counts = less.into_iter().filter_map(|less| chunks.checked_sub(less)).chain(COUNTS);
    let counts: Vec<u32> = counts.filter(|count| (1..chunks).contains(count)).collect();
    counts[rng.usize(..counts.len())]
}
