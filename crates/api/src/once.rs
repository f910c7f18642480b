//! Actions that are done once, however often they are asked for.

use std::collections::VecDeque;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::door::KEY;
use crate::problem::{Problem, Result};

/// Answers that are remembered.
const MOST: usize = 1_000;

/// What an action came to.
pub type Done = (StatusCode, Value);

/// The answers to actions, by what was asked for. One action at a time: a repeated one waits, and is answered alike.
#[derive(Debug, Default)]
pub struct Once(Mutex<VecDeque<(String, String, Done)>>);

impl Once {
    /// Does what is asked for under the key in the headers, unless that was done. What failed was not done.
    pub async fn run(
        &self,
        headers: &HeaderMap,
        asked: String,
        action: impl Future<Output = Result<Done>>,
    ) -> Result<Response> {
        let key = headers.get(KEY).and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
        let mut answers = self.0.lock().await;
        if let Some((_, earlier, done)) = answers.iter().find(|(known, ..)| *known == key) {
            if *earlier != asked {
                let detail = "this Idempotency-Key was used for another action; give each action its own";
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
            }
            return Ok(answer(done.clone()));
        }
        let done = action.await?;
        answers.push_back((key, asked, done.clone()));
        if answers.len() > MOST {
            answers.pop_front();
        }
        Ok(answer(done))
    }
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
        assert!(once.run(&keyed("a"), "redrive x".into(), act(true)).await.is_err(), "what failed is tried again");
        for _ in 0..2 {
            let answer = once.run(&keyed("a"), "redrive x".into(), act(false)).await.unwrap();
            assert_eq!(answer.status(), StatusCode::ACCEPTED);
        }
        assert_eq!(times.load(Ordering::Relaxed), 2);
        let refused = once.run(&keyed("a"), "cancel x".into(), act(false)).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        once.run(&keyed("b"), "redrive x".into(), act(false)).await.unwrap();
        assert_eq!(times.load(Ordering::Relaxed), 3);
    }
}
