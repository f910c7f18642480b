//! The rate and the number of calls at once hold over all functions.

use std::time::Duration;

use fanfold::model::processing::http::Secrets;
use fanfold::processor::http::Http;
use fanfold::processor::{Processor, Reply};
use fanfold::store::Clock;
use fanfold::store::meter::memory::MemoryMeter;
use fanfold::store::web::Request;
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::json;

use super::api::{Act, Api, chunk, is_done, settings};
use super::virtual_time::Virtual;

/// The most calls within any window of so many milliseconds.
fn most(times: &[i64], window: i64) -> usize {
    let mut times = times.to_vec();
    times.sort_unstable();
    let within = |from: i64| times.partition_point(|t| *t < from + window) - times.partition_point(|t| *t < from);
    times.iter().map(|from| within(*from)).max().unwrap_or_default()
}

/// The rate of calls but for the first and the last.
fn used(times: &[i64]) -> f64 {
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    (times.len() - 1) as f64 * 1000.0 / (last - first) as f64
}

/// What 20 functions that begin at once make of a rate, each with records of its own.
fn functions(seed: u64, rate: f64, records: u64, latency: i64) -> (Vec<i64>, usize) {
    let clock = Virtual::new(seed);
    let api = Api::new(&clock, move |_, _| Act::Slow(latency));
    let meter = MemoryMeter::new();
    let done = clock.run(async {
        let functions = (0..20).map(|n| {
            let http = settings(json!({ "rate": rate }));
            let http = Http::new(api.clone(), meter.clone(), clock.clone(), "orders", http, Secrets::default());
            let chunk = chunk(&clock, n, records, 120_000);
            async move { http.process(vec![chunk]).await.remove(0).unwrap() }
        });
        functions.collect::<FuturesUnordered<_>>().concat().await
    });
    (api.times(), done.iter().filter(|reply| is_done(reply)).count())
}

#[test]
fn the_rate_holds_over_twenty_cold_starts_and_is_used() {
    for (seed, rate, records, latency) in [(1, 50.0, 60, 80), (2, 5.0, 8, 400), (3, 300.0, 300, 30), (4, 0.8, 2, 100)] {
        let (times, done) = functions(seed, rate, records, latency);
        assert_eq!(done as u64, 20 * records, "at {rate} a second");
        // The windows that hold a whole number of calls.
        for allowed in [1, 2, 5, 10, 50, 100, 300, 600, 3_000] {
            let window = (f64::from(allowed) * 1000.0 / rate) as i64;
            let found = most(&times, window);
            assert!(window < 1000 || found <= allowed as usize, "{found} within {window} ms at {rate} a second");
        }
        let used = used(&times) / rate;
        println!("{rate} a second: {used}");
        assert!(used >= 0.9, "{used} of {rate} a second");
    }
}

#[test]
fn the_rate_is_used_with_few_calls_at_once_and_some_that_hang() {
    let clock = Virtual::new(5);
    let hangs = |request: &Request, calls| calls == 1 && request.target.ends_with('7');
    let api =
        Api::new(&clock, move |request, calls| if hangs(request, calls) { Act::HangAfter } else { Act::Answer(200) });
    let meter = MemoryMeter::new();
    clock.run(async {
        let functions = (0..20).map(|n| {
            let http = settings(json!({"rate": 100, "concurrency": 40, "timeout": 0.4}));
            let http = Http::new(api.clone(), meter.clone(), clock.clone(), "orders", http, Secrets::default());
            let chunk = chunk(&clock, n, 40, 120_000);
            async move { http.process(vec![chunk]).await }
        });
        functions.collect::<FuturesUnordered<_>>().collect::<Vec<_>>().await
    });
    let mut times = api.times();
    assert!(most(&times, 1000) <= 100 && api.log.lock().unwrap().most_at_once <= 40);
    times.sort_unstable();
    // At the end, only those that hang are left.
    let used = used(&times[..700]) / 100.0;
    assert!(used >= 0.9, "{used}");
}

#[test]
fn nothing_is_saved_up_while_nobody_calls() {
    let clock = Virtual::new(7);
    let api = Api::new(&clock, |_, _| Act::Answer(200));
    let http = settings(json!({"rate": 10}));
    let http = Http::new(api.clone(), MemoryMeter::new(), clock.clone(), "orders", http, Secrets::default());
    clock.run(async {
        for n in 0..3 {
            assert!(http.process(vec![chunk(&clock, n, 15, 60_000)]).await[0].as_ref().unwrap().iter().all(is_done));
            clock.sleep(Duration::from_secs(30)).await;
        }
    });
    assert!(most(&api.times(), 1000) <= 10);
}

#[test]
fn a_clock_that_is_fast_by_a_second_adds_at_most_a_second_of_calls() {
    let clock = Virtual::new(8);
    let api = Api::new(&clock, |_, _| Act::Answer(200));
    let meter = MemoryMeter::new();
    clock.run(async {
        let functions = (0..6).map(|n| {
            let own = Virtual { fast: if n % 2 == 0 { 1_000 } else { 0 }, ..clock.clone() };
            let http = settings(json!({"rate": 20}));
            let http = Http::new(api.clone(), meter.clone(), own.clone(), "orders", http, Secrets::default());
            let chunk = chunk(&own, n, 60, 90_000);
            async move { http.process(vec![chunk]).await }
        });
        functions.collect::<FuturesUnordered<_>>().collect::<Vec<_>>().await
    });
    for seconds in [1, 5, 10] {
        let found = most(&api.times(), seconds * 1000);
        assert!(found <= 20 * (usize::try_from(seconds).unwrap() + 1), "{found} within {seconds} s");
    }
}

#[test]
fn calls_at_once_hold_over_functions_and_all_are_used() {
    let clock = Virtual::new(9);
    let api = Api::new(&clock, |_, _| Act::Slow(180));
    let meter = MemoryMeter::new();
    let done = clock.run(async {
        let functions = (0..10).map(|n| {
            let http = settings(json!({"concurrency": 6}));
            let http = Http::new(api.clone(), meter.clone(), clock.clone(), "orders", http, Secrets::default());
            let chunk = chunk(&clock, n, 30, 120_000);
            async move { http.process(vec![chunk]).await.remove(0).unwrap() }
        });
        functions.collect::<FuturesUnordered<_>>().concat().await
    });
    assert_eq!(done.iter().filter(|reply| is_done(reply)).count(), 300);
    assert_eq!(api.log.lock().unwrap().most_at_once, 6);
    // 300 calls of 200 ms, six at once, take 10 s.
    assert!(clock.elapsed() < 20_000, "{}", clock.elapsed());
}

#[test]
fn a_rate_that_leaves_no_time_leaves_records_untried() {
    let clock = Virtual::new(10);
    let api = Api::new(&clock, |_, _| Act::Answer(200));
    let http = settings(json!({"rate": 0.1}));
    let http = Http::new(api.clone(), MemoryMeter::new(), clock.clone(), "orders", http, Secrets::default());
    let replies = clock.run(http.process(vec![chunk(&clock, 0, 5, 15_000)])).remove(0).unwrap();
    assert_eq!(replies.iter().filter(|reply| is_done(reply)).count(), 2);
    assert_eq!(replies.iter().filter(|reply| matches!(reply, Reply::Untried(_))).count(), 3);
    assert!(clock.elapsed() < 15_500, "{}", clock.elapsed());
}
