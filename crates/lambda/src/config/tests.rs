use super::*;
use fanfold::batch::dispatch::FanOut;
use fanfold::model::processing::KNOWN;
use fanfold::model::refusal::{FUNCTIONS, Refusal};
use fanfold::pipeline::variant::BUILT_IN;
use serde_json::Value;

fn read(pairs: &[(&str, &str)]) -> Result<Config> {
    Config::read(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

/// What process of a pipeline that stores items is told, but for the table.
const PROCESS: [(&str, &str); 10] = [
    ("_HANDLER", "process"),
    ("VARIANT", BUILT_IN[0].name),
    ("LEDGER_TABLE", "ledger"),
    ("INPUT_BUCKET", "input"),
    ("WORK_BUCKET", "work"),
    ("SOURCE_QUEUE_URL", "http://q"),
    ("DEAD_LETTER_QUEUE_URL", "http://d"),
    ("KEY_FIELD", "id"),
    ("RECORD_SCHEMA", r#"{"type":"object"}"#),
    ("GATHER_QUEUE_URL", "http://g"),
];

#[test]
fn a_complete_environment_is_read() {
    let config =
        read(&[&PROCESS[..], &[("ITEMS_TABLE", "items"), ("TASKS_TABLE", "tasks"), ("TOLERATE", "5%")]].concat())
            .unwrap();
    assert_eq!(config.stage.tolerance(), Tolerance::parse("5%").unwrap());
    let StageConfig::Process { key_field, items_table, .. } = config.stage else { panic!() };
    assert_eq!((key_field.as_str(), items_table.as_deref()), ("id", Some("items")));
    assert_eq!(config.processing, Processing::default());
}

#[test]
fn only_a_pipeline_that_stores_items_needs_their_table() {
    let with = |processors| read(&[&PROCESS[..], &[("TASKS_TABLE", "t"), ("PROCESSORS", processors)]].concat());
    let StageConfig::Process { items_table, .. } = with(r#"["custom"]"#).unwrap().stage else { panic!() };
    assert_eq!(items_table, None);
    for storing in ["", "items", r#"["custom","items"]"#] {
        let told = with(storing).unwrap_err().to_string();
        assert!(told.ends_with("misconfigured: ITEMS_TABLE is not set"), "{storing}: {told}");
    }
}

#[test]
fn parts_of_reports_are_answered_from_the_counters_of_another_pipeline() {
    let usage = r#"[{"usage":{"counters_of":"metering","sum":["kwh"]}},"items"]"#;
    let given = [&PROCESS[..], &[("TASKS_TABLE", "t"), ("ITEMS_TABLE", "rows"), ("PROCESSORS", usage)]].concat();
    let told = read(&given).unwrap_err().to_string();
    assert!(told.ends_with("misconfigured: USAGE_TABLE is not set"), "{told}");
    let config = read(&[&given[..], &[("USAGE_TABLE", "counters")]].concat()).unwrap();
    let StageConfig::Process { usage_table, .. } = config.stage else { panic!() };
    assert_eq!(usage_table.as_deref(), Some("counters"));
}

#[test]
fn what_makes_the_documents_of_reports_knows_their_rows_and_what_prints() {
    let given = |processors, arn| {
        let own = [("_HANDLER", "consolidate"), ("OUTPUT_BUCKET", "output"), ("ITEMS_TABLE", "rows")];
        let more = [("PROCESSORS", processors), ("PRESS_FUNCTION_ARN", arn)];
        read(&[&own[..], &more, &PROCESS[1..]].concat())
    };
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:press";
    for (processors, columns) in [
        (r#"[{"usage":{"counters_of":"metering","sum":["kwh"]}},"items"]"#, &["day", "records", "kwh"][..]),
        ("items", &["value"]),
    ] {
        let StageConfig::Consolidate { rows_table, press, columns: found, .. } = given(processors, arn).unwrap().stage
        else {
            panic!()
        };
        let names: Vec<&str> = found.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((rows_table.as_str(), press.as_str(), names.as_slice()), ("rows", arn, columns));
    }
    let told = given("items", "press").unwrap_err().to_string();
    assert!(told.contains("PRESS_FUNCTION_ARN is "), "{told}");
    let told = given("items", "").unwrap_err().to_string();
    assert!(told.ends_with("misconfigured: PRESS_FUNCTION_ARN is not set"), "{told}");
}

#[test]
fn what_tells_who_waits_knows_how_they_are_reached() {
    let given = |more: &[(&str, &str)]| {
        let own = [("_HANDLER", "notify"), ("OUTPUT_BUCKET", "output"), ("PIPELINE", "monthly")];
        read(&[&own[..], more, &PROCESS[1..]].concat())
    };
    let StageConfig::Notify { pipeline, sockets, webhooks } = given(&[]).unwrap().stage else { panic!() };
    assert_eq!((pipeline.as_str(), sockets, webhooks), ("monthly", None, None));
    let arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/hooks";
    let hooks = format!(r#"{{"urls":["https://a.example/"],"secrets":["{arn}"]}}"#);
    let more = [("SOCKETS_TABLE", "sockets"), ("SOCKETS_ENDPOINT", "https://b.example/live"), ("WEBHOOKS", &hooks)];
    let StageConfig::Notify { sockets, webhooks, .. } = given(&more).unwrap().stage else { panic!() };
    assert_eq!(sockets, Some(("sockets".to_owned(), "https://b.example/live".to_owned())));
    assert_eq!(webhooks.unwrap().secrets[0].arn, arn);
    let told = given(&[("SOCKETS_TABLE", "sockets"), ("WEBHOOKS", "{}")]).unwrap_err().to_string();
    assert!(told.contains("SOCKETS_ENDPOINT is not set") && told.contains("WEBHOOKS must have urls"), "{told}");
}

#[test]
fn a_stage_that_ends_chunks_needs_the_counters_table() {
    let told = |variant: &str, handler: &str| {
        let aggregate = r#"["items",{"aggregate":{"group_by":["client"]}}]"#;
        read(&[("_HANDLER", handler), ("VARIANT", variant), ("PROCESSORS", aggregate)]).unwrap_err().to_string()
    };
    for variant in BUILT_IN {
        for handler in ["scatter", "process", "gather", "bury", "sweep"] {
            let needed = handler != "gather" || !variant.condition.has_tree();
            let told = told(variant.name, handler);
            assert_eq!(told.contains("COUNTERS_TABLE is not set"), needed, "{} {handler}: {told}", variant.name);
        }
    }
    assert!(!read(&[("_HANDLER", "process")]).unwrap_err().to_string().contains("COUNTERS_TABLE"));
}

#[test]
fn the_first_to_hear_of_chunks_is_a_topic_or_a_state_machine_where_there_is_one() {
    for variant in BUILT_IN {
        let first = match variant.fan_out {
            FanOut::Topic => "PROCESS_TOPIC_ARN",
            FanOut::Map => "PROCESS_MACHINE_ARN",
            FanOut::Messages | FanOut::Notifications => "PROCESS_QUEUE_URL",
        };
        for (handler, expected) in [("scatter", first), ("sweep", "PROCESS_QUEUE_URL")] {
            let told = read(&[("_HANDLER", handler), ("VARIANT", variant.name)]).unwrap_err().to_string();
            for name in ["PROCESS_TOPIC_ARN", "PROCESS_MACHINE_ARN", "PROCESS_QUEUE_URL"] {
                let missed = told.contains(&format!("{name} is not set"));
                assert_eq!(missed, name == expected, "{} {handler} {name}", variant.name);
            }
        }
    }
}

#[test]
fn terraform_knows_every_processor() {
    let known: Value = serde_json::from_str(include_str!("../../../../infra/processors.json")).unwrap();
    let known: Vec<&str> = known["processors"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(KNOWN.iter().all(|name| known.contains(name)), "{KNOWN:?} and {known:?}");
}

#[test]
fn every_stage_that_decides_outcomes_refuses_processors_that_it_does_not_know() {
    for handler in ["scatter", "process", "gather", "bury", "sweep"] {
        let told = read(&[("_HANDLER", handler), ("PROCESSORS", r#"["sort"]"#)]).unwrap_err().to_string();
        assert!(told.contains("PROCESSORS: \"sort\" is no processor"), "{handler}: {told}");
    }
}

#[test]
fn all_problems_are_told_together() {
    let told = read(&[
        ("_HANDLER", "scatter"),
        ("VARIANT", "serial"),
        ("CHUNK_SIZE", "many"),
        ("WORK_BUCKET", " "),
        ("FORMAT", r#"{"delimiter":"ab"}"#),
        ("LIMITS", r#"{"dollars":0}"#),
        ("FAIR_BY", "tenant"),
    ])
    .unwrap_err()
    .to_string();
    for part in [
        "FORMAT must be a JSON object such as",
        "LIMITS: dollars is 0; it must be above 0",
        "FAIR_BY is \"tenant\"; it can be batch or prefix",
        "\"serial\" is not built in",
        "CHUNK_SIZE must be a whole number above 0, and is \"many\"",
        "WORK_BUCKET is not set",
        "LEDGER_TABLE is not set",
        "KEY_FIELD is not set",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let told = read(&[("_HANDLER", "sweep"), ("TOLERATE", "half"), ("FAIR_BY", "turns")]).unwrap_err().to_string();
    assert!(told.contains("FAIR_BY is \"turns\"") && told.contains("TOLERATE is \"half\"; it must be"), "{told}");
    let told = read(&[("_HANDLER", "shuffle")]).unwrap_err().to_string();
    assert!(told.contains("must be one of: scatter, process, gather, bury, sweep"), "{told}");
}

#[test]
fn every_refusal_of_a_variable_is_said_in_its_words() {
    let mut said = Vec::new();
    let wrong = [("_HANDLER", "process"), ("CHUNK_SIZE", "many"), ("RECORD_SCHEMA", "{}")];
    let custom = [("PROCESSORS", r#"["custom"]"#)];
    let counting = [("PROCESSORS", r#"["items",{"aggregate":{"group_by":["client"]}}]"#)];
    for (given, handler) in [
        (&wrong[..], "process"),
        (&wrong[1..], "scatter"),
        (&[], "shuffle"),
        (&custom, "records"),
        (&counting, "records"),
    ] {
        let given = [&[("_HANDLER", handler), ("VARIANT", BUILT_IN[0].name)], given].concat();
        let told = read(&given).unwrap_err().to_string();
        let found = Refusal::of(&told).unwrap_or_else(|| panic!("docs/ERRORS.md does not list {told:?}"));
        said.extend(found.iter().map(|refusal| refusal.code));
    }
    let told = "RECORD_SCHEMA names s3://package/schemas/a.json, which cannot be read: there is no such object";
    said.extend(Refusal::of(told).unwrap().iter().map(|refusal| refusal.code));
    // functions.rs has examples of those that its stage finds.
    said.extend(["NO_CUSTOM_PROCESSOR", "UNUSED_CUSTOM_PROCESSOR"]);
    for Refusal { code, .. } in FUNCTIONS {
        assert!(said.contains(code), "{code} has no example: {said:?}");
    }
}

#[test]
fn what_takes_records_one_at_a_time_tells_all_of_its_problems() {
    let told = SubmitConfig::read(|name| (name == "RECORD_SCHEMA").then(|| "[]".to_owned())).unwrap_err().to_string();
    for part in ["RECORDS_QUEUE_URL is not set", "REQUESTS_TABLE is not set", "schema"] {
        assert!(told.contains(part), "{told}");
    }
    let given = |name: &str| Some(if name == "RECORD_SCHEMA" { "{}" } else { "given" }.to_owned());
    let read = |none: &[&str]| SubmitConfig::read(|name| given(name).filter(|_| !none.contains(&name))).unwrap();
    let (items, events) = (read(&["FORMAT", "ITEM_ATTRIBUTES"]), read(&["FORMAT", "ITEM_ATTRIBUTES", "ITEMS_TABLE"]));
    assert_eq!((items.key_field.as_str(), items.items_table.as_deref()), ("given", Some("given")));
    assert_eq!(events.items_table, None, "events become no items");
}

const BILLED: [(&str, &str); 3] =
    [("BILLING_EVENTS_TABLE", "events"), ("BILLING_PACKAGES_TABLE", "packages"), ("BILLING_CLIENTS_TABLE", "clients")];

#[test]
fn events_and_half_months_have_tables_of_their_own() {
    for (processors, more) in [
        (r#"{"meter":{"billed_by":"b"}}"#, None),
        (r#"{"bill":{"clients_of":"c"}}"#, Some(("OUTPUT_BUCKET", "output"))),
    ] {
        let given = [&PROCESS[..], &[("TASKS_TABLE", "t"), ("PROCESSORS", processors)]].concat();
        let told = read(&given).unwrap_err().to_string();
        for (name, _) in BILLED {
            assert!(told.contains(&format!("{name} is not set")), "{told}");
        }
        assert_eq!(told.contains("OUTPUT_BUCKET is not set"), more.is_some(), "{told}");
        let config = read(&[&given[..], &BILLED, more.as_slice()].concat()).unwrap();
        let StageConfig::Process { billing: Some(tables), items_table: None, .. } = config.stage else { panic!() };
        assert_eq!(
            (tables.events.as_str(), tables.packages.as_str(), tables.clients.as_str()),
            ("events", "packages", "clients")
        );
    }
}

#[test]
fn what_sends_packages_tells_all_of_its_problems() {
    let read = |given: &[(&str, &str)]| {
        BillingConfig::read(|name| given.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    };
    let told = read(&[("PROCESSORS", "items"), ("CLOSES_EVERY", "often")]).unwrap_err().to_string();
    for part in [
        "BILLING_EVENTS_TABLE is not set",
        "LEDGER_TABLE is not set",
        "INPUT_BUCKET is not set",
        "OUTPUT_BUCKET is not set",
        "CLOSES_EVERY must be a whole number above 0",
        "PROCESSORS does not name bill",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let given = [
        ("PROCESSORS", r#"{"bill":{"clients_of":"c"}}"#),
        ("LEDGER_TABLE", "ledger"),
        ("INPUT_BUCKET", "input"),
        ("INPUT_PREFIX", "runs/"),
        ("OUTPUT_BUCKET", "output"),
        ("CLOSES_EVERY", "3600"),
    ];
    let config = read(&[&given[..], &BILLED].concat()).unwrap();
    assert_eq!((config.input, config.closes_every), (("input".to_owned(), "runs/".to_owned()), 3_600));
    assert_eq!((config.settings.invoices, config.tables.clients.as_str()), (None, "clients"));
}

#[test]
fn a_schema_that_is_none_is_a_problem() {
    for wrong in ["[]", "e30=", "{\"type\":\"thing\"}"] {
        let given = [("_HANDLER", "process"), ("KEY_FIELD", "id"), ("RECORD_SCHEMA", wrong)];
        assert!(read(&given).unwrap_err().to_string().contains("schema"), "{wrong}");
    }
}
