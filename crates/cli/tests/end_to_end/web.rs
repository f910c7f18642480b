//! Records that a deployed pipeline sends to an HTTP API, which fails in every way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fanfold::model::ids::TaskId;
use fanfold::model::progress::BatchState;
use fanfold_http::testing::{Act, FaultyServer, Seen};
use serde_json::Value;

use crate::counts;
use crate::world::{World, variable};

/// What the deployment says: calls a second.
const RATE: usize = 8;

/// What the API does with a record, how often it is then called, and the end of what is said of a record that fails.
type Case = (fn(usize) -> Act, usize, Option<&'static str>);

const CASES: [Case; 10] = [
    (|_| Act::Work, 1, None),
    (|calls| if calls == 1 { Act::HangBefore } else { Act::Work }, 2, None),
    (|calls| if calls == 1 { Act::HangAfter } else { Act::Work }, 2, None),
    (|calls| if calls == 1 { Act::WorkAnd(500) } else { Act::Work }, 2, None),
    (|calls| if calls == 1 { Act::Busy(429, None) } else { Act::Work }, 2, None),
    (|calls| if calls <= 6 { Act::Busy(429, Some("1".to_owned())) } else { Act::Work }, 7, None),
    (|_| Act::Slow(Duration::from_millis(300)), 1, None),
    (|calls| if calls == 1 { Act::Refuse(503) } else { Act::Work }, 2, None),
    (|_| Act::Refuse(422), 1, Some("the API answered 422: {\"ok\":false}")),
    (|_| Act::WorkAnd(500), 5, Some("the outcome is unknown: the API answered 500: {\"ok\":true} (tried 5 times)")),
];

/// How many records there are of each case; of the last two, which need no time or much, there is one.
const OF_EACH: usize = 3;

fn case(n: usize) -> &'static Case {
    if n < 2 { &CASES[8 + n] } else { &CASES[(n - 2) % 8] }
}

fn number(seen: &Seen) -> usize {
    seen.target.rsplit_once("/web").unwrap().1.parse().unwrap()
}

/// Where the deployed pipeline sends its records.
fn address() -> String {
    let deployment = std::fs::read_to_string(variable("FANFOLD_TEST_DEPLOYMENT")).unwrap();
    let deployment: Value = serde_json::from_str(&deployment).unwrap();
    let processors: Value =
        serde_json::from_str(deployment["pipelines"]["web"]["definition"]["processors"].as_str().unwrap()).unwrap();
    let url = processors[0]["http"]["url"].as_str().unwrap();
    url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned()
}

/// The most requests within any window of the server's log.
fn most(times: &[Duration], window: Duration) -> usize {
    let within = |from: &Duration| times.iter().filter(|&&at| at >= *from && at < *from + window).count();
    times.iter().map(within).max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_gets_every_record_once_within_its_rate_whatever_it_does() {
    let world = World::of("web").await;
    let server = FaultyServer::start(&address(), |seen, calls| (case(number(seen)).0)(calls)).await.unwrap();
    let records = 2 + 8 * OF_EACH;
    let rows: String = (0..records).map(|n| format!("web{n},{n}.5\n")).collect();
    let batch = world.put("web.csv", format!("itemNo,price\n{rows}").into_bytes()).await;
    let summary = world.summary(&batch).await;
    assert_eq!(
        (summary.state, counts(&summary)),
        (BatchState::PartiallyFailed, (records as u64, records as u64 - 2, 2))
    );
    for (n, failure) in summary.failures.iter().enumerate() {
        let said = case(n).2.unwrap();
        assert_eq!((failure.index as usize, failure.message.as_str()), (n, format!("line {}: {said}", n + 2).as_str()));
    }
    let log = server.log();
    let mut keys: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for seen in &log.seen {
        keys.entry(number(seen)).or_default().push(seen.key());
    }
    for n in 0..records {
        let key = format!("\"{}\"", TaskId::of(&batch, n as u64));
        assert_eq!(keys[&n], vec![key.as_str(); case(n).1], "{n}");
        let body: Option<Value> = log.worked.get(&key).map(|body| serde_json::from_str(body).unwrap());
        let worked = body.map(|body| body["itemNo"].as_str().unwrap().to_owned());
        assert_eq!(worked, (n != 0).then(|| format!("web{n}")), "{n}");
    }
    assert_eq!(log.worked.keys().collect::<BTreeSet<_>>().len(), records - 1);
    let told = summary.processor.as_ref().expect("what the calls took");
    assert_eq!((told.processors.as_slice(), told.calls as usize), (&["http".to_owned()][..], log.seen.len()));
    let mut times: Vec<Duration> = log.seen.iter().map(|seen| seen.at).collect();
    times.sort_unstable();
    let most = most(&times, Duration::from_secs(1));
    println!("{} calls, at most {most} within a second; at most {} at once", times.len(), log.most_under_way);
    assert!(most <= RATE, "{most} calls within a second");
}
