//! Tables and buckets that take only so much in a second, as AWS documents it.

use std::hash::{DefaultHasher, Hash, Hasher};

/// What a partition of a table takes in a second, in write units:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>
const PARTITION: f64 = 1_000.0;
/// What a new on-demand table takes in a second:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html>
const NEW_TABLE: f64 = 4_000.0;
/// It takes twice its previous peak, within half an hour of that.
const GROWTH: i64 = 30 * 60 * 1000;
/// What a prefix of a bucket takes in a second:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>
const WRITES: f64 = 3_500.0;
const READS: f64 = 5_500.0;

/// An allowance that is renewed at a rate, and that keeps what is not used for one second.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    rate: f64,
    left: f64,
    at: i64,
}

impl Allowance {
    fn new(rate: f64, now: i64) -> Self {
        Self { rate, left: rate, at: now }
    }

    fn renew(&mut self, now: i64) {
        self.left = (self.left + self.rate * (now - self.at) as f64 / 1000.0).min(self.rate);
        self.at = now;
    }

    fn take(&mut self, units: f64, now: i64) -> bool {
        self.renew(now);
        let enough = self.left >= units;
        self.left -= if enough { units } else { 0.0 };
        enough
    }
}

/// An on-demand table.
#[derive(Debug, Clone)]
pub struct Table {
    partitions: Vec<Allowance>,
    /// The second that is being counted, what it took, and the most that a second took since the table grew.
    second: i64,
    used: f64,
    peak: f64,
    grown_at: i64,
    units: f64,
    pub taken: u64,
    pub refused: u64,
    /// When it took the last item.
    pub last: i64,
}

impl Table {
    pub fn new(now: i64) -> Self {
        let partitions = vec![Allowance::new(PARTITION, now); (NEW_TABLE / PARTITION) as usize];
        Self { partitions, second: 0, used: 0.0, peak: 0.0, grown_at: now, units: 0.0, taken: 0, refused: 0, last: now }
    }

    /// The seconds that it needs at least for the units that it took, as long as it does not grow.
    pub fn own_seconds(&self) -> f64 {
        self.units / NEW_TABLE
    }

    /// Writes something of this many units under a key, if there is capacity for it.
    pub fn takes(&mut self, key: &str, units: f64, now: i64) -> bool {
        self.grow(now);
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let partition = hasher.finish() as usize % self.partitions.len();
        let taken = self.partitions[partition].take(units, now);
        if !taken {
            self.refused += 1;
            return false;
        }
        self.taken += 1;
        self.last = now;
        self.used += units;
        self.units += units;
        true
    }

    fn grow(&mut self, now: i64) {
        if now / 1000 != self.second {
            self.peak = self.peak.max(self.used);
            (self.second, self.used) = (now / 1000, 0.0);
        }
        if now - self.grown_at >= GROWTH {
            let wanted = (2.0 * self.peak / PARTITION).ceil() as usize;
            if wanted > self.partitions.len() {
                self.partitions.resize(wanted, Allowance::new(PARTITION, now));
            }
            (self.grown_at, self.peak) = (now, 0.0);
        }
    }
}

/// The requests that a new bucket, which is one partition, takes.
#[derive(Debug, Clone)]
pub struct BucketRate {
    writes: Allowance,
    reads: Allowance,
    pub taken: u64,
    pub refused: u64,
    /// When it took the last request.
    pub last: i64,
    written: u64,
}

impl BucketRate {
    pub fn new(now: i64) -> Self {
        let (writes, reads) = (Allowance::new(WRITES, now), Allowance::new(READS, now));
        Self { writes, reads, taken: 0, refused: 0, last: now, written: 0 }
    }

    /// The seconds that it needs at least for the writes that it took.
    pub fn own_seconds(&self) -> f64 {
        self.written as f64 / WRITES
    }

    /// Whether it takes a request of this name.
    pub fn takes(&mut self, call: &str, now: i64) -> bool {
        let reads = matches!(call, "blob.get" | "blob.get_range");
        let taken = if reads { &mut self.reads } else { &mut self.writes }.take(1.0, now);
        if taken {
            self.taken += 1;
            self.written += u64::from(!reads);
            self.last = now;
        } else {
            self.refused += 1;
        }
        taken
    }
}

/// The capacities of a deployment.
#[derive(Debug, Clone)]
pub struct Capacity {
    pub items: Table,
    pub tasks: Table,
    pub work: BucketRate,
}

impl Capacity {
    pub fn new(now: i64) -> Self {
        Self { items: Table::new(now), tasks: Table::new(now), work: BucketRate::new(now) }
    }
}
