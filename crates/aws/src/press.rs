//! The function that prints documents. It has no rights of its own: it is given a link to read the data by, and one to write the
//! document by.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::invoke::LambdaFunction;
use crate::s3::S3Blob;
use fanfold::model::error::{Error, Result};
use fanfold::store::function::{CallError, Function, Returned};
use fanfold::store::press::{Press, Printed};

/// How long the links are valid.
const VALID: Duration = Duration::from_secs(300);
/// How long its answer is waited for at most: its own time limit, and some more.
const PATIENCE: Duration = Duration::from_secs(150);

/// Prints objects of one bucket by a function.
#[derive(Debug, Clone)]
pub struct LambdaPress<F = LambdaFunction> {
    bucket: S3Blob,
    function: F,
}

/// What the function answers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Printed { bytes: u64, sha256: String },
    Refused { refused: String },
}

impl<F: Function> LambdaPress<F> {
    /// A function that prints objects of a bucket.
    pub fn new(bucket: S3Blob, function: F) -> Self {
        Self { bucket, function }
    }
}

fn printed(returned: &Returned) -> Result<Printed> {
    let text = String::from_utf8_lossy(&returned.payload);
    if let Some(error) = &returned.error {
        return Err(Error::transient(format!("the function that prints failed ({error}): {text}")));
    }
    match serde_json::from_slice(&returned.payload) {
        Ok(Answer::Printed { bytes, sha256 }) => Ok(Printed::Done { bytes, sha256 }),
        Ok(Answer::Refused { refused }) => Ok(Printed::Refused(refused)),
        Err(error) => Err(Error::internal(format!("the function that prints answered {text}")).because(error)),
    }
}

impl<F: Function> Press for LambdaPress<F> {
    async fn print(&self, data: &str, document: &str, patience: Duration) -> Result<Printed> {
        let data = self.bucket.link(data, "data.json", VALID).await?;
        let document = self.bucket.upload_link(document, "application/pdf", VALID).await?;
        let payload = json!({ "data": data, "document": document }).to_string();
        match self.function.invoke(payload.into(), PATIENCE.min(patience)).await {
            Ok(returned) => printed(&returned),
            Err(CallError::Throttled(why)) => Err(Error::busy(why)),
            Err(CallError::Refused(error)) => Err(error),
            Err(error) => Err(Error::transient("the function that prints gave no answer").because(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use crate::clients::Clients;
    use fanfold::model::error::ErrorKind;
    use fanfold::store::function::memory::MemoryFunction;
    use serde_json::Value;

    #[tokio::test]
    async fn the_function_is_given_links_and_nothing_else() {
        let given: Arc<Mutex<Vec<Value>>> = Arc::default();
        let noted = given.clone();
        let answer = Mutex::new(vec![
            Returned { error: Some("Unhandled".into()), ..Returned::answer("{\"errorMessage\":\"killed\"}") },
            Returned::answer("{\"refused\":\"columns: there are none\"}"),
            Returned::answer("{\"bytes\":7,\"sha256\":\"ab\"}"),
        ]);
        let function = MemoryFunction::new(move |payload, _| {
            noted.lock().unwrap().push(serde_json::from_slice(&payload).unwrap());
            Ok(answer.lock().unwrap().pop().unwrap())
        });
        let clients = Clients::of_emulator("http://127.0.0.1:1").await;
        let press = LambdaPress::new(S3Blob::new(clients.s3, "fanfold-output-123456789012"), function);
        let done = press.print("b/report/0/print.json", "b/report/0/report.pdf", PATIENCE).await.unwrap();
        assert_eq!(done, Printed::Done { bytes: 7, sha256: "ab".into() });
        let refused = press.print("d", "p", PATIENCE).await.unwrap();
        assert_eq!(refused, Printed::Refused("columns: there are none".into()));
        assert!(press.print("d", "p", PATIENCE).await.unwrap_err().to_string().contains("killed"));
        let busy = MemoryFunction::new(|_, _| Err(CallError::Throttled("too many calls".into())));
        let busy = LambdaPress::new(press.bucket.clone(), busy);
        assert_eq!(
            busy.print("d", "p", PATIENCE).await.unwrap_err().kind,
            ErrorKind::Busy,
            "it is free again at some time"
        );
        let given = given.lock().unwrap()[0].clone();
        let link = |name: &str| given[name].as_str().unwrap().to_owned();
        assert!(link("data").contains("/b/report/0/print.json?") && link("data").contains("X-Amz-Signature="));
        assert!(link("document").contains("/b/report/0/report.pdf?") && link("document").contains("content-type"));
        assert!(!link("document").contains("checksum"), "its bytes are not known yet: {}", link("document"));
        assert_eq!(given.as_object().unwrap().len(), 2);
    }
}
