//! The processor `http` over real connections: 20 functions that begin at once, each with connections of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use fanfold::model::ids::{BatchId, ChunkIndex};
use fanfold::model::processing::http::{HttpSettings, Secrets};
use fanfold::model::timestamp::Timestamp;
use fanfold::processor::http::Http;
use fanfold::processor::{Chunk, Processor, Record, Reply, Tried};
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold::store::meter::memory::MemoryMeter;
use fanfold_http::HttpWeb;
use fanfold_http::testing::{Act, FaultyServer};
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::{Map, json};

const FUNCTIONS: u32 = 20;
const RECORDS: u64 = 40;
const RATE: usize = 100;

fn chunk(index: u32, left: &BTreeSet<u64>) -> Chunk {
    let now = SystemClock.now();
    let record = |n: &u64| {
        let fields = Map::from_iter([("id".to_owned(), json!(n))]);
        Record { index: *n, key: n.to_string(), fields, tried: Tried::default() }
    };
    Chunk {
        batch: BatchId::parse("orders-0123456789ab").unwrap(),
        index: ChunkIndex::new(index).unwrap(),
        attempt: 1,
        sequence: now,
        now,
        until: Timestamp(now.0 + 20_000),
        deadline: Timestamp(now.0 + 30_000),
        records: left.iter().map(record).collect(),
    }
}

fn settings(server: &FaultyServer) -> HttpSettings {
    let url = format!("http://{}/orders/{{id}}", server.address);
    HttpSettings::parse(&json!({"url": url, "rate": RATE, "concurrency": 40, "timeout": 0.4})).unwrap()
}

/// The most requests within any window of the server's log.
fn most(times: &[Duration], window: Duration) -> usize {
    let within = |from: &Duration| times.iter().filter(|at| (*from..*from + window).contains(at)).count();
    times.iter().map(within).max().unwrap_or_default()
}

#[tokio::test]
async fn every_record_is_worked_on_once_within_the_rate_from_twenty_cold_starts() {
    let server = FaultyServer::start("127.0.0.1:0", |seen, calls| {
        let id: u64 = seen.target.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or_default();
        match (id % 40, calls) {
            (1, 1) => Act::HangBefore,
            (5, 1) => Act::HangAfter,
            (9, 1) => Act::WorkAnd(500),
            (13, 1) => Act::DropBefore,
            (17, 1) => Act::DropAfter,
            (21, _) => Act::Slow(Duration::from_millis(200)),
            (25, 1) => Act::Refuse(503),
            (29, 1) => Act::WorkAndClose,
            _ => Act::Work,
        }
    })
    .await
    .unwrap();
    let meter = MemoryMeter::new();
    let functions = (0..FUNCTIONS).map(|n| {
        let http = settings(&server);
        let http = Http::new(HttpWeb::new(), meter.clone(), SystemClock, "orders", http, Secrets::default());
        async move {
            let mut left: BTreeSet<u64> = (0..RECORDS).map(|of| u64::from(n) * RECORDS + of).collect();
            for _ in 0..5 {
                let chunk = chunk(n, &left);
                let tried: Vec<u64> = chunk.records.iter().map(|record| record.index).collect();
                let replies = http.process(vec![chunk]).await.remove(0).unwrap();
                for (index, reply) in tried.into_iter().zip(replies) {
                    if let Reply::Done(_) = reply {
                        left.remove(&index);
                    }
                }
                if left.is_empty() {
                    return;
                }
            }
            panic!("{left:?} are left");
        }
    });
    functions.collect::<FuturesUnordered<_>>().collect::<Vec<()>>().await;
    let log = server.log();
    assert_eq!(log.worked.len() as u64, u64::from(FUNCTIONS) * RECORDS);
    assert!(log.most_under_way <= 40, "{}", log.most_under_way);
    let mut times: Vec<Duration> = log.seen.iter().map(|seen| seen.at).collect();
    times.sort_unstable();
    // At the end, few records are left, and wait for the time-outs of the last ones.
    let busy = times.len() * 3 / 4;
    let used = busy as f64 / (times[busy] - times[0]).as_secs_f64() / RATE as f64;
    let most: Vec<usize> = [1, 2, 3].map(|seconds| most(&times, Duration::from_secs(seconds))).to_vec();
    println!("{used:.3} of the rate used; at most {most:?} within 1, 2 and 3 s; {} calls", times.len());
    for (seconds, found) in (1..).zip(most) {
        assert!(found <= RATE * seconds, "{found} within {seconds} s");
    }
    // Tests share their processors, and a call that is late for its moment gets another one: in virtual time, more than
    // 96 % is used.
    assert!(used >= 0.6, "{used}");
}
