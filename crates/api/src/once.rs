//! Actions that are done once, however often they are asked for.

use std::collections::VecDeque;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::door::KEY;
use crate::problem::{Problem, Result};
use fanfold::model::error::Error;
use fanfold::store::Clock;
use fanfold::store::clock::SystemClock;
use fanfold_aws::ledger::DynamoLedger;

/// Answers that are remembered.
const MOST: usize = 1_000;

/// What an action came to.
pub type Done = (StatusCode, Value);

/// What was done under a key, as the ledger keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    asked: String,
    status: u16,
    body: Value,
}

/// The answers to actions, by what was asked for. They are kept in the ledger, too, for a day: another process, or the next
/// one, answers alike. One action at a time: a repeated one waits, and is answered alike.
#[derive(Debug, Default)]
pub struct Once(Mutex<VecDeque<(String, String, Done)>>);

impl Once {
    /// Does what is asked for under the key in the headers, unless that was done. What failed was not done.
    pub async fn run(
        &self,
        headers: &HeaderMap,
        asked: String,
        ledger: Option<&DynamoLedger>,
        action: impl Future<Output = Result<Done>>,
    ) -> Result<Response> {
        let key = headers.get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
        let mut answers = self.0.lock().await;
        if let Some((_, earlier, done)) = answers.iter().find(|(known, ..)| *known == key) {
            if *earlier != asked {
                return Err(other());
            }
            return Ok(answer(done.clone()));
        }
        if let Some(ledger) = ledger
            && let Some(kept) = ledger.answered(&key, SystemClock.now()).await?
        {
            let unread =
                |e| Problem::from(Error::internal("the ledger holds an answer that cannot be read").because(e));
            let kept: Kept = serde_json::from_str(&kept).map_err(unread)?;
            if kept.asked != asked {
                return Err(other());
            }
            let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
            return Ok(answer((status, kept.body)));
        }
        let done = action.await?;
        if let Some(ledger) = ledger {
            let kept = Kept { asked: asked.clone(), status: done.0.as_u16(), body: done.1.clone() };
            let text = serde_json::to_string(&kept).unwrap_or_default();
            // What was done is done. If it cannot be kept, only another process would do it again.
            if let Err(error) = ledger.keep_answer(&key, &text, SystemClock.now()).await {
                tracing::warn!(%error, "answer not kept");
            }
        }
        answers.push_back((key, asked, done.clone()));
        if answers.len() > MOST {
            answers.pop_front();
        }
        Ok(answer(done))
    }
}

fn other() -> Problem {
    let detail = "this Idempotency-Key was used for another action; give each action its own";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

fn answer((status, body): Done) -> Response {
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use serde_json::json;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn keyed(key: &'static str) -> HeaderMap {
        HeaderMap::from_iter([("idempotency-key".parse().unwrap(), HeaderValue::from_static(key))])
    }

    #[tokio::test]
    async fn an_action_is_done_once_under_its_key() {
        let (once, times) = (Once::default(), AtomicU32::new(0));
        let act = |fails: bool| {
            let times = &times;
            async move {
                let time = times.fetch_add(1, Ordering::Relaxed);
                if fails { Err(Problem::bad("no")) } else { Ok((StatusCode::ACCEPTED, json!(time))) }
            }
        };
        assert!(
            once.run(&keyed("a"), "redrive x".into(), None, act(true)).await.is_err(),
            "what failed is tried again"
        );
        for _ in 0..2 {
            let answer = once.run(&keyed("a"), "redrive x".into(), None, act(false)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
        }
        assert_eq!(times.load(Ordering::Relaxed), 2);
        let refused = once.run(&keyed("a"), "cancel x".into(), None, act(false)).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        once.run(&keyed("b"), "redrive x".into(), None, act(false)).await.unwrap();
        assert_eq!(times.load(Ordering::Relaxed), 3);
    }
}
