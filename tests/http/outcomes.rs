//! What becomes of each record, whatever the API does.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfold::model::processing::http::Secrets;
use fanfold::model::refusal::{CALLS, Refusal};
use fanfold::processor::http::Http;
use fanfold::processor::{Chunk, Processor, Reply, Tried};
use fanfold::store::Clock;
use fanfold::store::meter::memory::MemoryMeter;
use fanfold::store::web::Request;
use serde_json::{Value, json};

use super::api::{Act, Api, chunk, header, is_done, settings};
use super::virtual_time::Virtual;

/// The replies for a chunk, and the API afterwards.
fn replies<F>(clock: &Virtual, more: Value, chunk: Chunk, act: F) -> (Vec<Reply>, Api<F>)
where
    F: Fn(&Request, u32) -> Act + Clone + Send + Sync + 'static,
{
    let api = Api::new(clock, act);
    let secrets = Secrets::new([("token".to_owned(), "s3cret/ä".to_owned())]);
    let http = Http::new(api.clone(), MemoryMeter::new(), clock.clone(), "orders", settings(more), secrets);
    let replies = clock.run(http.process(vec![chunk])).remove(0).unwrap();
    (replies, api)
}

fn told(reply: &Reply) -> String {
    match reply {
        Reply::Done(Some(result)) => format!("done {result}"),
        Reply::Failed(reason) => format!("failed {reason}"),
        Reply::Temporary { reason, unsure } => format!("temporary {unsure} {reason}"),
        Reply::Untried(reason) => format!("untried {reason}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn each_answer_has_its_class() {
    let acts = [
        (Act::Answer(201), r#"done {"status":201,"body":{"ok":true}}"#),
        (Act::Answer(404), r#"failed the API answered 404: {"ok": true}"#),
        (Act::Answer(409), r#"done {"status":409,"body":{"ok":true}}"#),
        (Act::Answer(302), r#"failed the API answered 302: {"ok": true}"#),
        (Act::Answer(500), r#"temporary true the outcome is unknown: the API answered 500: {"ok": true}"#),
        (Act::Answer(503), r#"temporary false the API answered 503: {"ok": true}"#),
        (Act::HangBefore, "temporary true the outcome is unknown: it did not answer within 2 s"),
        (Act::HangAfter, "temporary true the outcome is unknown: it did not answer within 2 s"),
        (Act::Drop, "temporary true the outcome is unknown: the connection broke"),
        (Act::Unreachable, "temporary false the API was not reached: connection refused"),
        (Act::Slow(1_500), r#"done {"status":200,"body":{"ok":true}}"#),
    ];
    let clock = Virtual::new(1);
    let of = chunk(&clock, 0, acts.len() as u64, 60_000);
    let more = json!({"timeout": 2, "statuses": {"409": "succeeded"}});
    let (replies, _) = replies(&clock, more, of, move |request, _| {
        let place: usize = request.target.rsplit_once('/').unwrap().1.parse().unwrap();
        acts[place].0
    });
    let told: Vec<String> = replies.iter().map(told).collect();
    assert_eq!(told, acts.map(|(_, told)| told));
}

#[test]
fn a_busy_api_is_left_alone_and_its_records_are_tried_again() {
    // The date is five seconds after the beginning, and the refusal some time after that.
    for (told, least) in [(Some("3"), 3_000), (None, 1_000), (Some("Fri, 15 Jan 2027 08:00:05 GMT"), 4_100)] {
        let clock = Virtual::new(2);
        let of = chunk(&clock, 0, 30, 60_000);
        // The tenth call is refused, however often it comes within the pause.
        let (replies, api) = replies(&clock, json!({"rate": 20}), of, move |request, calls| {
            if request.target.ends_with("/9") && calls == 1 { Act::Busy(429, told) } else { Act::Answer(200) }
        });
        assert!(replies.iter().all(is_done));
        let times = api.times();
        let pause = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(pause >= least - 100, "{told:?}: {pause} ms");
        assert_eq!(times.len(), 31);
    }
}

#[test]
fn a_pause_past_the_time_leaves_records_untried_and_stays() {
    let clock = Virtual::new(3);
    let meter = MemoryMeter::new();
    let http = |api| {
        let http = settings(json!({"rate": 20}));
        Http::new(api, meter.clone(), clock.clone(), "orders", http, Secrets::default())
    };
    let acting = |act: Act| Api::new(&clock, move |_, _| act);
    let api = acting(Act::Busy(503, Some("120")));
    let first = clock.run(http(api.clone()).process(vec![chunk(&clock, 0, 10, 20_000)])).remove(0).unwrap();
    assert!(first.iter().all(|reply| told(reply) == "untried the API asked for a pause"), "{first:?}");
    assert!(api.times().len() <= 2, "{:?}", api.times());
    // Another function finds the pause in the meter.
    let after = acting(Act::Answer(200));
    let second = clock.run(http(after.clone()).process(vec![chunk(&clock, 1, 10, 20_000)])).remove(0).unwrap();
    assert!(second.iter().all(|reply| told(reply).starts_with("untried")), "{second:?}");
    assert!(after.times().is_empty());
}

#[test]
fn nothing_is_awaited_past_the_deadline() {
    let clock = Virtual::new(4);
    let of = chunk(&clock, 0, 40, 5_000);
    let (replies, _) = replies(&clock, json!({"timeout": 300, "concurrency": 10}), of, |_, _| Act::HangAfter);
    assert_eq!(clock.elapsed(), 19_500);
    let unsure = replies.iter().filter(|reply| matches!(reply, Reply::Temporary { unsure: true, .. })).count();
    let untried = replies.iter().filter(|reply| matches!(reply, Reply::Untried(_))).count();
    assert_eq!((unsure, untried), (10, 30));
}

#[test]
fn what_is_unsure_is_looked_up_first() {
    let clock = Virtual::new(5);
    let mut of = chunk(&clock, 0, 4, 60_000);
    for record in &mut of.records[..3] {
        record.tried = Tried { times: 1, unsure: true };
    }
    let more = json!({"look_up": {"url": "https://api.example.com/find?id={id}"}});
    let (replies, api) =
        replies(&clock, more, of, |request, _| match (request.method.as_str(), request.target.as_str()) {
            ("GET", "/find?id=0") => Act::Answer(200),
            ("GET", "/find?id=1") => Act::Answer(404),
            ("GET", _) => Act::Answer(500),
            _ => Act::Answer(201),
        });
    let told: Vec<String> = replies.iter().map(told).collect();
    assert!(told[0].starts_with("done {\"status\":200"), "{told:?}");
    assert!(told[1].starts_with("done {\"status\":201"), "{told:?}");
    assert!(told[2].starts_with("temporary true the outcome is unknown: its look-up said 500"), "{told:?}");
    assert!(told[3].starts_with("done {\"status\":201"), "{told:?}");
    let log = api.log.lock().unwrap();
    assert_eq!(log.effects.len(), 2);
    assert!(log.requests.iter().all(|r| (r.method == "POST") == header(r, "idempotency-key").is_some()));
}

#[test]
fn an_earlier_try_that_may_have_had_its_effect_is_not_forgotten() {
    let clock = Virtual::new(6);
    let mut of = chunk(&clock, 0, 2, 60_000);
    of.records.iter_mut().for_each(|record| record.tried = Tried { times: 1, unsure: true });
    let (replies, _) =
        replies(
            &clock,
            json!({}),
            of,
            |request, _| {
                if request.target.ends_with('0') { Act::Answer(400) } else { Act::Unreachable }
            },
        );
    assert!(told(&replies[0]).ends_with("; an earlier try may have had its effect"), "{replies:?}");
    assert_eq!(told(&replies[1]), "temporary true the API was not reached: connection refused");
}

#[test]
fn requests_are_what_the_templates_say() {
    let clock = Virtual::new(7);
    let mut of = chunk(&clock, 0, 3, 60_000);
    of.records[1].fields.remove("name");
    of.records[2].fields.insert("name".to_owned(), json!("a\r\nX-Other: b"));
    let task = of.task(&of.records[0]).to_string();
    let more = json!({
        "url": "https://api.example.com/{name}?key={@secret.token}&batch={@batch}",
        "headers": {"X-Name": "{name}", "Authorization": "Bearer {@secret.token}"},
        "body": {"id": "{id}", "text": "{{{id}}} \"{name}\"", "task": "{@task}", "all": [1, null, "{@index}"]},
        "secrets": {"token": "arn:aws:ssm:eu-west-1:123456789012:parameter/token"},
    });
    let (replies, api) = replies(&clock, more, of, |_, _| Act::Answer(200));
    let told: Vec<String> = replies.iter().map(told).collect();
    assert!(told[0].starts_with("done"), "{told:?}");
    assert_eq!(told[1], "failed the record has no field name, which the request needs");
    assert_eq!(told[2], "failed name holds a line end or another control character, which a header cannot");
    let log = api.log.lock().unwrap();
    assert_eq!(log.requests.len(), 1);
    let request = &log.requests[0];
    assert_eq!(request.target, "/n%C3%A4me%200?key=s3cret%2F%C3%A4&batch=orders-0123456789ab");
    assert_eq!(request.body, format!(r#"{{"id":0,"text":"{{0}} \"näme 0\"","task":"{task}","all":[1,null,0]}}"#));
    assert_eq!(header(request, "idempotency-key"), Some(format!("\"{task}\"").as_str()));
    assert_eq!(header(request, "authorization"), Some("Bearer s3cret/ä"));
}

/// The refusals that a record is told which is sent to an API that acts so.
fn refusals(more: Value, id: Value, act: Act) -> Vec<&'static str> {
    let clock = Virtual::new(8);
    let mut of = chunk(&clock, 0, 1, 60_000);
    of.records[0].fields.insert("id".to_owned(), id);
    let (replies, _) = replies(&clock, more, of, move |_, _| act);
    let (Reply::Failed(reason) | Reply::Temporary { reason, .. }) = &replies[0] else {
        panic!("{replies:?}");
    };
    Refusal::of(reason).unwrap_or_default().iter().map(|refusal| refusal.code).collect()
}

#[test]
fn every_refusal_is_said_in_its_words() {
    let header = json!({"headers": {"X-Id": "{id}"}, "url": "https://api.example.com/"});
    let lacking = json!({"url": "https://api.example.com/{nothing}"});
    let said = [
        refusals(lacking, json!(1), Act::Answer(200)),
        refusals(json!({}), json!(null), Act::Answer(200)),
        refusals(json!({}), json!([1]), Act::Answer(200)),
        refusals(header, json!("a\nb"), Act::Answer(200)),
        refusals(json!({}), json!(".."), Act::Answer(200)),
        refusals(json!({}), json!(""), Act::Answer(200)),
        refusals(json!({}), json!(1), Act::Answer(404)),
        refusals(json!({}), json!(1), Act::Unreachable),
        refusals(json!({}), json!(1), Act::HangAfter),
    ];
    let all: Vec<Vec<&str>> = CALLS.iter().map(|refusal| vec![refusal.code]).collect();
    assert_eq!(said.to_vec(), all);
}

#[test]
fn every_record_is_done_once_by_its_key_whatever_fails() {
    for seed in 0..30 {
        let clock = Virtual::new(seed);
        let chance = clock.clone();
        let act = move |_: &Request, _: u32| match (chance.chance() * 10.0) as u32 {
            0 => Act::HangBefore,
            1 => Act::HangAfter,
            2 => Act::After(500),
            3 => Act::Busy(429, None),
            4 => Act::Busy(429, Some("1")),
            5 => Act::Drop,
            6 => Act::Slow(700),
            _ => Act::Answer(200),
        };
        let api = Api::new(&clock, act);
        let more = json!({"rate": 40, "concurrency": 8, "timeout": 1});
        let http = Http::new(api.clone(), MemoryMeter::new(), clock.clone(), "o", settings(more), Secrets::default());
        let mut done = BTreeMap::new();
        for round in 0..100 {
            let mut of = chunk(&clock, 0, 40, 15_000);
            of.records.retain(|record| !done.contains_key(&record.index));
            if of.records.is_empty() {
                break;
            }
            assert!(round < 99, "{} of 40 after 99 rounds", done.len());
            let records: Vec<u64> = of.records.iter().map(|record| record.index).collect();
            let replies = clock.run(http.process(vec![of])).remove(0).unwrap();
            assert_eq!(replies.len(), records.len());
            clock.run(clock.sleep(Duration::from_secs(20)));
            done.extend(records.into_iter().zip(replies).filter(|(_, reply)| is_done(reply)));
        }
        let log = api.log.lock().unwrap();
        assert_eq!(log.effects.len(), 40, "seed {seed}");
        assert!(log.most_at_once <= 8);
        assert_eq!(http.spent().calls as usize, log.times.len());
    }
}
