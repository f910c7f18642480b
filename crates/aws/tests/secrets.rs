//! How secrets are read, and what is said when that fails.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use fanfold::model::error::{ErrorKind, Result};
use fanfold::model::processing::http::SecretSource;
use fanfold::store::clock::SystemClock;
use fanfold::store::web::memory::MemoryWeb;
use fanfold::store::web::{Request, Response};
use fanfold_aws::secrets::read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

const PARAMETER: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/api/token";
const SECRET: &str = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:api-AbCdEf#token";

async fn config() -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "very-secret", Some("session".to_owned()), None, "test");
    let provider = aws_sdk_dynamodb::config::SharedCredentialsProvider::new(credentials);
    SdkConfig::builder().credentials_provider(provider).build()
}

fn sources(arn: &str) -> BTreeMap<String, SecretSource> {
    BTreeMap::from([("token".to_owned(), SecretSource::parse(arn).unwrap())])
}

/// What comes of a secret whose keeper answers so.
async fn told(arn: &str, status: u16, body: &str) -> Result<String> {
    let body = body.to_owned();
    let web = MemoryWeb(move |_| {
        let response = Response { status, body: body.clone().into_bytes(), ..Response::default() };
        async move { Ok(response) }
    });
    let read = read(&config().await, &web, &SystemClock, &sources(arn)).await;
    read.map(|secrets| secrets.get("token").unwrap_or_default().to_owned())
}

#[tokio::test]
async fn requests_are_signed_and_go_to_the_region_of_the_secret() {
    static SEEN: Mutex<Vec<Request>> = Mutex::new(Vec::new());
    let web = MemoryWeb(|request| {
        SEEN.lock().unwrap().push(request);
        let body = br#"{"Parameter":{"Value":"v"},"SecretString":"{\"token\":\"v\"}"}"#.to_vec();
        async move { Ok(Response { status: 200, body, ..Response::default() }) }
    });
    for arn in [PARAMETER, SECRET] {
        read(&config().await, &web, &SystemClock, &sources(arn)).await.unwrap();
    }
    let seen = SEEN.lock().unwrap();
    let hosts: Vec<&str> = seen.iter().map(|request| request.origin.host.as_str()).collect();
    assert_eq!(hosts, ["ssm.eu-west-1.amazonaws.com", "secretsmanager.cn-north-1.amazonaws.com.cn"]);
    for (request, scope) in seen.iter().zip(["/eu-west-1/ssm/", "/cn-north-1/secretsmanager/"]) {
        let header = |wanted: &str| request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let (_, signature) = header("authorization").unwrap();
        assert!(signature.contains(scope) && signature.contains("SignedHeaders=content-type;host;x-amz-date;"));
        assert_eq!(header("x-amz-security-token").unwrap().1, "session");
        assert!(!format!("{:?}", request.headers).contains("very-secret"));
    }
    assert!(seen[0].body.contains(PARAMETER) && seen[0].body.contains("\"WithDecryption\":true"));
    assert!(!seen[1].body.contains("#token"), "{}", seen[1].body);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_in_words_without_the_secret() {
    assert_eq!(told(PARAMETER, 200, r#"{"Parameter":{"Value":"p\"w"}}"#).await.unwrap(), "p\"w");
    assert_eq!(told(SECRET, 200, r#"{"SecretString":"{\"token\":7}"}"#).await.unwrap(), "7");
    for (arn, status, body, kind, part) in [
        (SECRET, 200, r#"{"SecretString":"hush"}"#, ErrorKind::Config, "no JSON object"),
        (SECRET, 200, r#"{"SecretString":"{\"other\":\"hush\"}"}"#, ErrorKind::Config, "no JSON object"),
        (SECRET, 200, r#"{"SecretBinary":"hush"}"#, ErrorKind::Config, "is no text"),
        (PARAMETER, 400, r#"{"__type":"ParameterNotFound"}"#, ErrorKind::Config, "ParameterNotFound (400)"),
        (PARAMETER, 400, r#"{"__type":"a#AccessDeniedException","Message":"no"}"#, ErrorKind::Denied, ": no (400)"),
    ] {
        let error = told(arn, status, body).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(part) && !error.to_string().contains("hush"), "{error}");
    }
}

#[tokio::test]
async fn a_busy_keeper_is_asked_again() {
    let calls = AtomicU32::new(0);
    let web = MemoryWeb(move |_| {
        let busy = calls.fetch_add(1, Ordering::Relaxed) < 2;
        let (status, body) =
            if busy { (400, r#"{"__type":"ThrottlingException"}"#) } else { (200, r#"{"Parameter":{"Value":"v"}}"#) };
        async move { Ok(Response { status, body: body.as_bytes().to_vec(), ..Response::default() }) }
    });
    assert_eq!(read(&config().await, &web, &SystemClock, &sources(PARAMETER)).await.unwrap().get("token"), Some("v"));
}
