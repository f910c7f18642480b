//! Settings of the processor `http` that are refused.

use fanfold::model::processing::{Processing, Work};
use serde_json::{Value, json};

use super::Examples;

fn parse(of: &Value) -> fanfold::Result<Processing> {
    Processing::parse(&json!({ "http": of }).to_string())
}

/// What is said of settings that have a URL and a rate, and these.
fn with(more: &Value) -> String {
    let mut of = json!({"url": "https://api.example.com/orders/{id}", "rate": 50});
    of.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    parse(&of).unwrap_err().to_string()
}

fn url(url: &str) -> String {
    with(&json!({ "url": url }))
}

fn look_up(more: &Value) -> String {
    let mut of = json!({"url": "https://api.example.com/orders/{id}"});
    of.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    with(&json!({ "look_up": of }))
}

fn elsewhere() -> String {
    let arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/token";
    let of = json!({"url": "https://api.example.com/", "rate": null, "secrets": {"a": arn, "b": arn}});
    let Work::Http(settings) = parse(&of).unwrap().work else { panic!() };
    settings.check_region("eu-west-2").unwrap_err().to_string()
}

pub fn settings() -> Examples {
    let headers = |headers: &Value| with(&json!({ "headers": headers }));
    let statuses = |statuses: &Value| with(&json!({ "statuses": statuses }));
    vec![
        (&["UNKNOWN_HTTP_SETTING"], with(&json!({"retries": 3}))),
        (&["UNKNOWN_HTTP_SETTING"], look_up(&json!({"body": "x"}))),
        (&["URL_NOT_GIVEN", "RATE_NOT_GIVEN"], parse(&json!("x; y")).unwrap_err().to_string()),
        (&["URL_NOT_GIVEN"], with(&json!({"look_up": {}}))),
        (&["URL_NOT_HTTPS"], url("ftp://api.example.com/")),
        (&["URL_NOT_HTTPS"], look_up(&json!({"url": "{url}"}))),
        (&["URL_WITH_PASSWORD"], url("https://me:pw@api.example.com/")),
        (&["URL_WITHOUT_HOST"], url("https://{host}/")),
        (&["URL_PORT_WRONG"], url("https://api.example.com:99999/")),
        (&["URL_NOT_ENCRYPTED"], url("http://api.example.com/")),
        (&["URL_WITH_FRAGMENT"], url("https://api.example.com/#a")),
        (&["URL_NOT_ENCODED"], url("https://api.example.com/a b")),
        (&["URL_NOT_ENCODED", "URL_WITH_FRAGMENT"], url("https://api.example.com/\"{id}#")),
        (&["TEMPLATE_WITHOUT_FIELD"], url("https://api.example.com/{}")),
        (&["TEMPLATE_WITHOUT_FIELD"], with(&json!({"body": {"a": [{"b": "{}"}]}}))),
        (&["TEMPLATE_WITH_LONE_BRACE"], with(&json!({"body": "}"}))),
        (&["TEMPLATE_WITH_LONE_BRACE"], with(&json!({"headers": {"A": "{id"}}))),
        (&["TEMPLATE_UNKNOWN_VALUE"], url("https://api.example.com/{@now}")),
        (&["TEMPLATE_UNKNOWN_VALUE"], with(&json!({"body": "{@secret.}"}))),
        (&["TEMPLATE_UNKNOWN_SECRET"], headers(&json!({"A": "{@secret.a}"}))),
        (&["METHOD_UNKNOWN"], with(&json!({"method": "post"}))),
        (&["METHOD_UNKNOWN"], look_up(&json!({"method": ["GET"]}))),
        (&["HEADERS_NOT_OBJECT"], headers(&json!(["A"]))),
        (&["HEADER_MISNAMED"], headers(&json!({"x; y": "a"}))),
        (&["HEADER_OF_FANFOLD"], headers(&json!({"Host": "a"}))),
        (&["HEADER_TWICE"], headers(&json!({"X-A": "a", "x-a": "a"}))),
        (&["HEADER_NOT_A_TEXT"], headers(&json!({"A": "a\r\nB: b"}))),
        (&["RATE_OUT_OF_RANGE"], with(&json!({"rate": "50; 60"}))),
        (&["CONCURRENCY_OUT_OF_RANGE"], with(&json!({"concurrency": 0}))),
        (&["TIMEOUT_OUT_OF_RANGE"], with(&json!({"timeout": "10s"}))),
        (&["INSECURE_NOT_BOOLEAN"], with(&json!({"insecure": "true"}))),
        (&["STATUSES_NOT_OBJECT"], statuses(&json!([409]))),
        (&["STATUS_UNKNOWN"], statuses(&json!({"99": "busy"}))),
        (&["STATUS_CLASS_UNKNOWN"], statuses(&json!({"404": "good; bad"}))),
        (&["STATUSES_OVERLAP"], statuses(&json!({"404": "busy", "400-499": "permanent"}))),
        (&["LOOK_UP_NOT_OBJECT"], with(&json!({"look_up": "https://api.example.com/{id}"}))),
        (&["LOOK_UP_STATUSES_NOT_LIST"], look_up(&json!({"found": 200}))),
        (&["LOOK_UP_STATUSES_OVERLAP"], look_up(&json!({"found": ["200-404"]}))),
        (&["SECRETS_NOT_OBJECT", "TEMPLATE_UNKNOWN_SECRET"], with(&json!({"secrets": "hush", "body": "{@secret.a}"}))),
        (&["SECRET_NOT_AN_ARN"], with(&json!({"secrets": {"a": "hush"}}))),
        (&["SECRET_OF_OTHER_REGION"], elsewhere()),
    ]
}
