use proptest::prelude::*;
use serde_json::json;

use super::template::Escape;
use super::*;
use crate::model::processing::{Processing, Work};

fn parse(of: &Value) -> std::result::Result<HttpSettings, String> {
    match Processing::parse(&json!({ "http": of }).to_string()) {
        Ok(Processing { work: Work::Http(settings), items: false, aggregate: None }) => Ok(*settings),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn with(more: &Value) -> Value {
    let mut of = json!({"url": "https://api.example.com/orders/{id}", "rate": 50});
    of.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    of
}

fn settings(more: &Value) -> HttpSettings {
    parse(&with(more)).unwrap()
}

fn rendered(settings: &HttpSettings, record: &Value) -> std::result::Result<Rendered, String> {
    let secrets = Secrets::new([("token".to_owned(), "hush".to_owned())]);
    let values = Values { fields: record.as_object().unwrap(), task: "t", batch: "b", index: 7, secrets: &secrets };
    settings.call.render(&values)
}

const TOKEN: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/api/token";

#[test]
fn what_is_left_out_has_its_usual_value() {
    // Terraform writes null for what is left out.
    for more in [json!({}), json!({"method": null, "body": null, "concurrency": null, "look_up": null})] {
        let read = settings(&more);
        assert_eq!(
            (read.call.method.as_str(), read.rate, read.concurrency, read.timeout),
            ("POST", Some(50.0), None, 10_000)
        );
        assert_eq!((read.call.body, read.look_up), (Body::Record, None));
    }
    assert_eq!(settings(&json!({"rate": null})).rate, None);
    assert_eq!(settings(&json!({"method": "GET"})).call.body, Body::Nothing);
    let look_up = settings(&json!({"look_up": {"url": "https://api.example.com/{id}"}})).look_up.unwrap();
    assert_eq!([200, 404, 500].map(|status| look_up.found(status)), [Some(true), Some(false), None]);
}

#[test]
fn all_problems_are_told_together() {
    let of = json!({
        "url": "http://api.example.com/{}/{@now}/a b", "method": "post", "headers": {"Host": "a", "x y": "b", "A": "}"},
        "concurrency": 0, "timeout": "10s", "statuses": {"404": "good", "400-499": "permanent", "99": "busy"},
        "look_up": {"url": "api.example.com", "found": [200], "absent": ["200-299"], "body": "x"},
        "secrets": {"token": "hush-hush"}, "retries": 3,
    });
    let told = parse(&of).unwrap_err();
    for part in [
        "http: url: it is not encrypted; use https://, or \"insecure\": true",
        "http: url: {} names no field",
        "http: url: {@now} is not known",
        "http: method is \"post\"; it can be DELETE, GET, HEAD, PATCH, POST, PUT",
        "http: headers: Host is set by fanfold",
        "http: headers: \"x y\" is no name of a header",
        "http: headers: A: a } stands alone",
        "http: rate must be given",
        "http: concurrency is 0",
        "http: timeout is \"10s\"",
        "http: statuses: 404 is \"good\"",
        "http: statuses: 400-499 and 404-404 overlap",
        "http: statuses: \"99\" is no status",
        "http: look_up: url: it must begin with https://",
        "http: look_up: found and absent overlap",
        "http: look_up: \"body\" is no setting of look_up; there is url, method, headers, found, absent",
        "http: secrets: token: it must be the ARN of a parameter or a secret",
        "http: \"retries\" is no setting of http; there is url,",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("hush"), "{told}");
    for of in [json!(null), json!("x"), json!({})] {
        assert!(parse(&of).unwrap_err().contains("http: url must be given"));
    }
}

#[test]
fn urls_that_lead_astray_are_refused() {
    for (url, part) in [
        ("https://{host}/a", "is no host"),
        ("https://api.{region}.example.com/a", "is no host"),
        ("https://me:pw@example.com/", "cannot stand before its host"),
        ("https:///a", "is no host"),
        ("https://a:99999/", "its port must be"),
        ("https://example.com/a#b", "fragment"),
        ("https://example.com/ü", "percent-encoded"),
        ("ftp://example.com/", "must begin with https://"),
        ("http://10.0.0.1/", "not encrypted"),
        ("http://localhost.example.com/", "not encrypted"),
    ] {
        let told = parse(&with(&json!({ "url": url }))).unwrap_err();
        assert!(told.contains(part), "{url}: {told}");
    }
    for url in ["http://localhost:8080/a", "http://127.0.0.1/a", "http://[::1]:80/a", "https://[2001:db8::1]/a"] {
        settings(&json!({ "url": url }));
    }
    settings(&json!({"url": "http://10.0.0.1/", "insecure": true}));
    for value in ["", ".", ".."] {
        assert!(rendered(&settings(&json!({})), &json!({ "id": value })).is_err(), "{value:?}");
    }
}

#[test]
fn a_record_fills_the_templates() {
    let of = json!({
        "url": "https://api.example.com/{customer.id}?q={a.b}",
        "headers": {"X-A": "{flag}"},
        "body": {"n": "{n}", "list": "{list}", "none": "{none}", "text": "{{n}} is {n}"},
    });
    let read = settings(&of);
    assert_eq!(read.fields(), ["a.b", "customer.id", "flag", "list", "n", "none"]);
    let record = json!({
        "customer": {"id": "a/b ü"}, "a.b": "x&y", "a": {"b": 1}, "flag": true, "n": 1.50, "list": [1], "none": null,
    });
    let request = rendered(&read, &record).unwrap();
    assert_eq!(request.target, "/a%2Fb%20%C3%BC?q=x%26y");
    assert_eq!(request.body, r#"{"n":1.5,"list":[1],"none":null,"text":"{n} is 1.5"}"#);
    let headers = [("X-A".to_owned(), "true".to_owned()), ("Content-Type".to_owned(), "application/json".to_owned())];
    assert_eq!(request.headers, headers);
    for (field, part) in [("flag", "no field flag"), ("customer", "no field customer.id")] {
        let mut less = record.clone();
        less.as_object_mut().unwrap().remove(field);
        assert!(rendered(&read, &less).unwrap_err().contains(part));
    }
    let mut odd = record.clone();
    odd["a.b"] = json!(null);
    assert_eq!(rendered(&read, &odd).unwrap_err(), "the field a.b is null, which a text cannot hold");
}

#[test]
fn a_text_is_escaped_as_its_content_type_wants() {
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", "v=a%22%26b"),
        ("application/merge-patch+json; charset=utf-8", r#"v=a\"&b"#),
        ("text/plain", r#"v=a"&b"#),
    ] {
        let read = settings(&json!({"headers": {"content-type": content_type}, "body": "v={v}"}));
        assert_eq!(rendered(&read, &json!({"id": 1, "v": "a\"&b"})).unwrap().body, body);
    }
}

#[test]
fn statuses_have_their_usual_classes_unless_told_otherwise() {
    let usual = Statuses::default();
    let class = |status| usual.class(status, false);
    assert_eq!([200, 204].map(class), [Class::Succeeded; 2]);
    assert_eq!([408, 425, 500, 503].map(class), [Class::Temporary; 4]);
    assert_eq!([301, 400, 404, 409].map(class), [Class::Permanent; 4]);
    assert_eq!(
        (class(429), usual.class(503, true), usual.class(500, true)),
        (Class::Busy, Class::Busy, Class::Temporary)
    );
    let own = settings(&json!({"statuses": {"409": "succeeded", "500-599": "permanent", "429": "temporary"}})).statuses;
    assert_eq!(
        [409, 503, 429].map(|status| own.class(status, false)),
        [Class::Succeeded, Class::Permanent, Class::Temporary]
    );
    assert_eq!((own.class(503, true), own.class(429, true)), (Class::Permanent, Class::Busy));
}

#[test]
fn secrets_are_found_by_their_arns_and_hidden() {
    let kept = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:api-AbCdEf#token";
    let read = settings(&json!({"headers": {"A": "{@secret.a}{@secret.b}"}, "secrets": {"a": TOKEN, "b": kept}}));
    assert_eq!(read.secrets["a"].keeper, Keeper::Ssm);
    assert_eq!(
        (read.secrets["b"].keeper, read.secrets["b"].member.as_deref()),
        (Keeper::SecretsManager, Some("token"))
    );
    read.check_region("eu-west-1").unwrap();
    let told = read.check_region("eu-west-2").unwrap_err().to_string();
    assert!(told.contains("a in eu-west-1, b in eu-west-1"), "{told}");
    let told = parse(&with(&json!({"headers": {"A": "{@secret.a}"}}))).unwrap_err();
    assert!(told.contains("{@secret.a} is not among secrets"), "{told}");
    let secrets = Secrets::new([("a".to_owned(), "p\"w/1".to_owned())]);
    assert_eq!(format!("{secrets:?}"), "{\"a\"}");
    assert_eq!(secrets.hide(r#"{"x":"p\"w/1","y":"p"w/1 p%22w%2F1"}"#), r#"{"x":"[secret]","y":"[secret] [secret]"}"#);
}

proptest! {
    /// Text without values comes out as it went in, once braces are doubled; and no text breaks the reader.
    #[test]
    fn doubled_braces_are_braces(text in ".*") {
        let template = Template::parse(&text.replace('{', "{{").replace('}', "}}")).unwrap();
        let (fields, secrets) = (Map::new(), Secrets::default());
        let values = Values { fields: &fields, task: "", batch: "", index: 0, secrets: &secrets };
        prop_assert_eq!(template.render(&values, Escape::Plain).unwrap(), text.clone());
        let _ = Template::parse(&text);
    }

    /// No value of a field leaves its part of the path, its parameter, its header or its JSON text.
    #[test]
    fn no_value_leaves_its_place(value in ".*") {
        let read = settings(&json!({
            "url": "https://a.example.com/x/{id}/y?a={id}&b=1", "headers": {"A": "{id}"}, "body": {"t": "<{id}>"},
        }));
        if let Ok(request) = rendered(&read, &json!({ "id": value })) {
            let (path, query) = request.target.split_once('?').unwrap();
            prop_assert_eq!(path.split('/').count(), 4);
            prop_assert_eq!(query.split(['&', '=']).count(), 4);
            prop_assert!(request.target.bytes().all(|b| b.is_ascii_graphic() && b != b'#'));
            prop_assert!(!request.headers[0].1.contains(['\r', '\n', '\0']));
            let body: Value = serde_json::from_str(&request.body).unwrap();
            prop_assert_eq!(&body["t"], &json!(format!("<{value}>")));
        }
    }
}
